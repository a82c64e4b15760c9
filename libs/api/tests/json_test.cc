#include "ktrdr/api/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ktrdr/api/operation.h"
#include "ktrdr/api/training.h"
#include "ktrdr/api/worker.h"
#include "ktrdr/core/testing/matchers.h"

namespace ktrdr::api {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;

Operation full_operation() {
  Operation operation;
  operation.operation_id = "op_training_1";
  operation.status = OperationStatus::kRunning;
  operation.phase = Phase::kTraining;
  operation.attempt = 3;
  operation.version = 9;
  operation.created_at = "2026-01-01T00:00:00.000Z";
  operation.progress.percentage = 12.5;
  operation.progress.context.train_loss = 0.1 + 0.2;
  operation.metadata.symbol = "EURUSD";
  operation.warnings = {"one", "zwei \u00e9"};
  operation.result_summary = JsonText{R"({"a":[1,2.5,null]})"};
  operation.metrics = OperationMetrics{{EpochMetrics{.epoch = 0, .train_loss = 1.25, .learning_rate = 1e-3}}};
  operation.checkpoint =
      CheckpointInfo{.ref = {2, 7}, .parent = CheckpointRef{2, 6}, .epoch = 4, .start_epoch = 5};
  return operation;
}

TEST(Json, AnOperationSurvivesTheWire) {
  const std::string text = to_json(full_operation());
  const auto back = from_json<Operation>(text);
  ASSERT_THAT(back, IsOk());
  EXPECT_EQ(to_json(*back), text);
  EXPECT_EQ(back->progress, full_operation().progress) << "doubles are exact";
  EXPECT_EQ(back->checkpoint, full_operation().checkpoint);
}

TEST(Json, NonFiniteNumbersBecomeNull) {
  EpochMetrics epoch{
      .epoch = 1, .train_loss = std::nan(""), .val_loss = std::numeric_limits<double>::infinity()};
  const auto back = from_json<EpochMetrics>(to_json(epoch));
  ASSERT_THAT(back, IsOk());
  EXPECT_FALSE(back->train_loss.has_value());
  EXPECT_FALSE(back->val_loss.has_value());
}

TEST(Json, NamesTheKeyThatIsWrong) {
  EXPECT_THAT(
      from_json<HeartbeatRequest>(R"({"attempt":1,"worker_id":"w","progress":{"context":{"epoch":"x"}}})"),
      SaysError("'progress.context.epoch' must be a whole number"));
  EXPECT_THAT(from_json<ClaimRequest>(R"({"attempt":1})"), SaysError("'worker_id' is missing"));
  EXPECT_THAT(from_json<StartTrainingRequest>(R"({"strategy":"x"})"), SaysError("strategy_name"));
  EXPECT_THAT(from_json<StoppedRequest>(R"({"attempt":1,"worker_id":"w","reason":"tired"})"),
              SaysError("one of cancelled, shutdown"));
  EXPECT_THAT(from_json<StartTrainingRequest>(R"({"symbols":["A",3]})"),
              SaysError("'symbols.1' must be a text"));
}

TEST(Json, TakesThirtyTwoLevelsAndNoMore) {
  const auto nested = [](std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  EXPECT_THAT(from_json<JsonText>(nested(32)), IsOk());
  EXPECT_THAT(from_json<JsonText>(nested(33)), SaysError("32 levels"));
}

TEST(Json, WritesNumbersThatReadBackAsThemselves) {
  const std::pair<double, const char*> cases[] = {{0.0, "0.0"},
                                                  {-0.0, "-0.0"},
                                                  {0.1 + 0.2, "0.30000000000000004"},
                                                  {100000, "100000.0"},
                                                  {999999999999999, "999999999999999.0"},
                                                  {1e15, "1e+15"},
                                                  {1e-5, "0.00001"},
                                                  {-1.2345678901234568e-5, "-0.000012345678901234568"},
                                                  {9.9e-6, "9.9e-06"},
                                                  {5e-324, "5e-324"},
                                                  {1.7976931348623157e308, "1.7976931348623157e+308"}};
  for (const auto& [number, text] : cases) {
    const std::string json = to_json(EpochMetrics{.epoch = 1, .learning_rate = number});
    EXPECT_NE(json.find(std::string("\"learning_rate\":") + text), std::string::npos) << json;
    const auto read = from_json<EpochMetrics>(json);
    ASSERT_THAT(read, IsOk());
    EXPECT_EQ(std::signbit(read->learning_rate), std::signbit(number));
    EXPECT_EQ(read->learning_rate, number);
  }
}

TEST(Json, EscapesWhatATextMayNotHoldAndReplacesWhatIsNotUtf8) {
  OperationMetadata metadata;
  for (const auto& [symbol, text] :
       {std::pair<std::string, std::string>{"a\"b\\c\n\x01", R"(a\"b\\c\n\u0001)"},
        {"\x7f\xc3\xa9", "\x7f\xc3\xa9"},
        {"\xff", "\xef\xbf\xbd"}}) {
    metadata.symbol = symbol;
    EXPECT_NE(to_json(metadata).find("\"symbol\":\"" + text + "\""), std::string::npos) << to_json(metadata);
  }
}

TEST(Json, RefusesHostileDocuments) {
  const std::string deep = std::string(1000, '[') + std::string(1000, ']');
  const std::string very_deep(1'000'000, '[');
  for (const std::string& bad :
       {std::string(), std::string("{"), std::string("[]"), std::string("null"), deep, very_deep,
        std::string(R"({"attempt":1,"attempt":2,"worker_id":"w"})"),
        std::string(R"({"attempt":1e999,"worker_id":"w"})"),
        std::string(R"({"attempt":NaN,"worker_id":"w"})"), std::string(R"({"attempt":1.0,"worker_id":"w"})"),
        std::string(R"({"attempt":18446744073709551615,"worker_id":"w"})"),
        std::string("{\"attempt\":1,\"worker_id\":\"\xff\"}"),
        std::string(R"({"attempt":1,"worker_id":"a\u0000b"})"),
        std::string(R"({"attempt":1,"worker_id":"w","extra":0})"),
        std::string(R"({"attempt":1,"worker_id":"w"} x)")}) {
    EXPECT_THAT(from_json<ClaimRequest>(bad), FailsWith(ErrorCode::kInvalidArgument)) << bad.substr(0, 60);
  }
}

TEST(Json, RefusesADuplicateKeyAtAnyDepth) {
  EXPECT_THAT(from_json<JsonText>(R"({"a":{"b":1,"b":2}})"), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(from_json<JsonText>(R"({"a":{"b":1},"c":{"b":2}})"), IsOk());
  EXPECT_THAT(from_json<JsonText>(R"([{"b":1},{"b":2}])"), IsOk());
}

TEST(Json, CarriesOnlyShallowTexts) {
  const auto nested = [](int levels) {
    return R"({"worker_id":"w","endpoint_url":"u","capabilities":)" +
           std::string(static_cast<std::size_t>(levels), '[') +
           std::string(static_cast<std::size_t>(levels), ']') + "}";
  };
  EXPECT_THAT(from_json<WorkerRegistration>(nested(16)), IsOk());
  EXPECT_THAT(from_json<WorkerRegistration>(nested(17)),
              SaysError("'capabilities' must be JSON of at most 16 levels"));
}

TEST(Json, NeverRepeatsTheInputInAMessage) {
  const auto bad = from_json<ClaimRequest>(R"({"secret-looking-key":1})");
  EXPECT_EQ(bad.error().message.find("secret"), std::string::npos);
  const auto broken = from_json<ClaimRequest>(R"({"secret-looking-key"!)");
  EXPECT_EQ(broken.error().message.find("secret"), std::string::npos);
}

TEST(Json, UnknownKeysMayBeIgnoredByAReaderOfAnswers) {
  EXPECT_THAT(from_json<AppliedAnswer>(R"({"version":3,"new_in_a_later_release":1})", UnknownKeys::kIgnore),
              IsOk());
}

TEST(Json, EveryEnumeratorHasItsWord) {
  for (const auto status : {OperationStatus::kPending, OperationStatus::kRunning, OperationStatus::kCompleted,
                            OperationStatus::kFailed, OperationStatus::kCancelled}) {
    EXPECT_EQ(parse_operation_status(to_string(status)), status);
  }
  EXPECT_EQ(to_string(OperationStatus::kCancelled), "cancelled");
  EXPECT_FALSE(parse_operation_status("RUNNING").has_value()) << "lower case everywhere";
}

TEST(Json, ReadsOneMemberOfAText) {
  EXPECT_EQ(member_of(JsonText{R"({"model_path":"/m","n":3})"}, "model_path"), "/m");
  EXPECT_EQ(member_of(JsonText{R"({"n":3})"}, "n"), "3");
  EXPECT_EQ(member_of(JsonText{R"({"n":3})"}, "x"), "");
}

TEST(Json, NothingIsAcceptedUnreadBehindANul) {
  for (const std::string& text :
       {std::string("{}\0", 3), std::string("{}\0{\"x\":1}", 10), std::string("\0", 1)}) {
    EXPECT_THAT(from_json<CancelRequest>(text), FailsWith(ErrorCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace ktrdr::api
