#include "ktrdr/services/trainings_service.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/storage/memory_repository.h"
#include "ktrdr/strategy/testing/market_generator.h"
#include "ktrdr/strategy/testing/strategy_text.h"

namespace ktrdr::services {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;

struct Bench {
  ktrdr::testing::TemporaryFolder folder;
  ktrdr::testing::ManualClock clock;
  std::unique_ptr<storage::OperationsRepository> operations = storage::make_memory_repository(clock);
  WorkerRegistry workers{clock, std::chrono::seconds(2)};
  TrainingsService service{
      clock, *operations, workers, {.market_data = folder.path(), .strategies = folder.path()}};

  Bench() { strategy::testing::write_market(folder.path(), strategy::testing::make_market({})); }

  static api::StartTrainingRequest good() { return {.strategy_yaml = strategy::testing::strategy_text()}; }
  Result<api::StartTrainingResponse> start(const api::StartTrainingRequest& request) {
    return service.start(request, std::nullopt);
  }
  api::TrainingRequest stored(const std::string& id) { return operations->job({id})->request; }
  std::int64_t count() { return operations->list({})->total_count; }
};

TEST(TrainingsService, PinsEverythingThatCouldMove) {
  Bench bench;
  const auto started = bench.start(Bench::good());
  ASSERT_THAT(started, IsOk());
  const auto request = bench.stored(started->task_id);
  EXPECT_EQ(request.strategy_yaml, strategy::testing::strategy_text());
  EXPECT_EQ(request.seed, started->seed) << "drawn once and stored";
  EXPECT_EQ(request.end_ms, strategy::testing::make_market({}).timestamps_ms.back());
  EXPECT_EQ(request.data_fingerprint.size(), 64u);
  EXPECT_EQ(bench.operations->get({started->task_id})->status, api::OperationStatus::kPending);
}

TEST(TrainingsService, AGivenSeedIsKeptAndDrawnOnesDiffer) {
  Bench bench;
  auto request = Bench::good();
  request.seed = 42;
  EXPECT_EQ(bench.start(request)->seed, 42);
  EXPECT_NE(bench.start(Bench::good())->seed, bench.start(Bench::good())->seed);
}

TEST(TrainingsService, TakesAStrategyByItsName) {
  Bench bench;
  std::ofstream(bench.folder / "quick.yaml") << strategy::testing::strategy_text();
  EXPECT_THAT(bench.start({.strategy_name = "quick"}), IsOk());
  EXPECT_THAT(bench.start({.strategy_name = "quick.yaml"}), IsOk());
  for (const char* name : {"../quick", "/etc/passwd", ".hidden", "", "a/b", "missing"}) {
    EXPECT_THAT(bench.start({.strategy_name = name}), FailsWith(ErrorCode::kInvalidArgument)) << name;
  }
}

TEST(TrainingsService, ARefusedRequestLeavesNothingBehind) {
  Bench bench;
  auto wrong_seed = Bench::good(), wrong_symbol = Bench::good(), wrong_dates = Bench::good(),
       wrong_policy = Bench::good(), wrong_id = Bench::good(), no_rows = Bench::good();
  wrong_seed.seed = -1;
  wrong_symbol.symbols = {"OTHER"};
  wrong_dates.start_date = "yesterday";
  wrong_policy.checkpoint_every_seconds = 0;
  wrong_id.task_id = "../../x";
  no_rows.start_date = "2050-01-01";
  for (const auto& request : {wrong_seed, wrong_symbol, wrong_dates, wrong_policy, wrong_id, no_rows,
                              api::StartTrainingRequest{}}) {
    EXPECT_THAT(bench.start(request), FailsWith(ErrorCode::kInvalidArgument));
  }
  EXPECT_EQ(bench.count(), 0);
}

TEST(TrainingsService, ACheckpointPolicyHasLimitsAndTheMessageNamesThem) {
  Bench bench;
  const auto refused = [&](auto member, auto value, const std::string& name) {
    auto request = Bench::good();
    request.*member = value;
    EXPECT_THAT(bench.start(request), FailsWith(ErrorCode::kInvalidArgument)) << name << " " << value;
    EXPECT_THAT(bench.start(request), SaysError("'" + name + "' must be"));
  };
  using Request = api::StartTrainingRequest;
  constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();
  for (const std::int64_t epochs : {0, -1, 1'000'001})
    refused(&Request::checkpoint_every_epochs, epochs, "checkpoint_every_epochs");
  for (const double seconds : {0.0, -1.0, 1e-9, 1e300, kNotANumber})
    refused(&Request::checkpoint_every_seconds, seconds, "checkpoint_every_seconds");
  for (const double percent : {0.0, -1.0, 100.1, kNotANumber})
    refused(&Request::checkpoint_budget_percent, percent, "checkpoint_budget_percent");
  EXPECT_EQ(bench.count(), 0);
}

TEST(TrainingsService, ResumeAndRetryKeepTheCheckpointPolicy) {
  Bench bench;
  auto request = Bench::good();
  request.checkpoint_every_epochs = 7;
  request.checkpoint_every_seconds = 2.5;
  request.checkpoint_budget_percent = 0.25;
  const OperationId id{bench.start(request)->task_id};
  const api::TrainingRequest first = bench.stored(id.value);
  EXPECT_EQ(first.checkpoint_every_epochs, 7);
  EXPECT_EQ(first.checkpoint_every_seconds, 2.5);
  EXPECT_EQ(first.checkpoint_budget_percent, 0.25);

  const storage::Fence fence{1, {"worker-1"}};
  ASSERT_THAT(bench.operations->claim(id, fence, "w"), IsOk());
  ASSERT_THAT(bench.operations->commit_checkpoint(id, fence, {.ref = {1, 0}}), IsOk());
  ASSERT_THAT(bench.operations->fail(id, fence, "The power went."), IsOk());
  ASSERT_THAT(bench.operations->retry(id, {"op_again"}, {}, std::nullopt), IsOk());
  EXPECT_EQ(bench.stored("op_again"), first);
  ASSERT_THAT(bench.operations->try_resume(id, false, {}, std::nullopt), IsOk());
  EXPECT_EQ(bench.stored(id.value), first);
}

TEST(TrainingsService, AMissingSymbolIsTheRequestsMistakeAndNamesWhatIsThere) {
  Bench bench;
  const api::StartTrainingRequest request{.strategy_yaml =
                                              strategy::testing::strategy_text({.symbol = "GBPUSD"})};
  EXPECT_THAT(bench.start(request), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(bench.start(request), SaysError("EURUSD"));
}

TEST(TrainingsService, AClientChosenIdIsUsedOnce) {
  Bench bench;
  auto request = Bench::good();
  request.task_id = "my-run_1";
  EXPECT_EQ(bench.start(request)->task_id, "my-run_1");
  EXPECT_THAT(bench.start(request), FailsWith(ErrorCode::kConflict));
  EXPECT_EQ(bench.count(), 1);
}

TEST(TrainingsService, ARepeatUnderTheSameKeyIsTheSameOperation) {
  Bench bench;
  const storage::IdempotencyKey key{"morning", "hash"};
  const auto first = bench.service.start(Bench::good(), key),
             second = bench.service.start(Bench::good(), key);
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(first->task_id, second->task_id);
  EXPECT_EQ(first->seed, second->seed) << "not the one drawn for the repeat";
  std::filesystem::remove(bench.folder / "EURUSD_1h.csv");
  EXPECT_EQ(bench.service.start(Bench::good(), key)->task_id, first->task_id)
      << "also when the data has gone since";
  EXPECT_EQ(bench.count(), 1);
}

}  // namespace
}  // namespace ktrdr::services
