#include "ktrdr/http/error_mapping.h"

#include <gtest/gtest.h>

#include "ktrdr/http/responder.h"

namespace ktrdr::http {
namespace {

using namespace std::string_literals;  // keeps the NUL inside

TEST(ErrorMapping, EveryCodeHasItsStatus) {
  const std::vector<std::pair<ErrorCode, int>> expected = {{ErrorCode::kInvalidArgument, 400},
                                                           {ErrorCode::kUnsupported, 400},
                                                           {ErrorCode::kUnauthorized, 401},
                                                           {ErrorCode::kForbidden, 403},
                                                           {ErrorCode::kNotFound, 404},
                                                           {ErrorCode::kCheckpointNotFound, 404},
                                                           {ErrorCode::kCheckpointCorrupted, 422},
                                                           {ErrorCode::kConflict, 409},
                                                           {ErrorCode::kStale, 409},
                                                           {ErrorCode::kPreconditionFailed, 412},
                                                           {ErrorCode::kTooLarge, 413},
                                                           {ErrorCode::kUnavailable, 503},
                                                           {ErrorCode::kIo, 500},
                                                           {ErrorCode::kInternal, 500}};
  for (const auto& [code, status] : expected) EXPECT_EQ(status_of(code), status) << to_string(code);
}

TEST(ErrorMapping, TheBodyHasTheSentenceTwiceAndNoContext) {
  const Response response =
      error_response(Error(ErrorCode::kConflict, "It runs.").while_doing("reading /secret/path"));
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_EQ(response.body, R"({"success": false, "detail": "It runs.", )"
                           R"("error": {"code": "CONFLICT", "message": "It runs.", "details": {}}})");
}

TEST(ErrorMapping, TakesDetailsAsTheyAre) {
  const Response response = error_response(Error(ErrorCode::kStale, "Stop."), R"({"attempt": 3})");
  EXPECT_NE(response.body.find(R"("details": {"attempt": 3}})"), std::string::npos);
}

TEST(ErrorMapping, AMessageCanNotBreakOutOfItsString) {
  const Response response = error_response(Error(ErrorCode::kIo, "a\"b\\c\nd\0é"s));
  EXPECT_NE(response.body.find(R"("detail": "a\"b\\c\u000ad\u0000é")"), std::string::npos) << response.body;
}

TEST(ErrorMapping, BytesThatAreNotTextBecomeQuestionMarks) {
  const Response response = error_response(Error(ErrorCode::kIo, "No file \xFF\xFE."));
  EXPECT_NE(response.body.find(R"("detail": "No file ??.")"), std::string::npos) << response.body;
}

TEST(Responder, GivesItsAnswerOnce) {
  std::vector<int> statuses;
  Responder responder([&](Response response) { statuses.push_back(response.status); });
  EXPECT_TRUE(responder.respond({.status = 200, .body = {}, .headers = {}}));
  EXPECT_FALSE(responder.respond({.status = 202, .body = {}, .headers = {}}));
  EXPECT_EQ(statuses, std::vector{200});
}

TEST(Responder, AnswersWhenItIsForgottenButNotWhenItIsOnlyMoved) {
  std::vector<int> statuses;
  {
    Responder first([&](Response response) { statuses.push_back(response.status); });
    const Responder second = std::move(first);
    EXPECT_TRUE(statuses.empty());
  }
  EXPECT_EQ(statuses, std::vector{500});
}

TEST(Responder, NobodyHearsAnAnswerToACancelledSlot) {
  bool was_delivered = false;
  const auto slot = std::make_shared<AnswerSlot>([&](Response) { was_delivered = true; });
  slot->cancel();
  EXPECT_FALSE(Responder(slot).respond({}));
  EXPECT_FALSE(was_delivered);
}

}  // namespace
}  // namespace ktrdr::http
