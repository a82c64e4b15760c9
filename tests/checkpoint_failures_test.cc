// Saves that fail in a real worker: a disk of its own for the checkpoints is filled while it trains.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/testing/small_disk.h"
#include "support/scrape.h"
#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;
using ktrdr::testing::SmallDisk;
using ::testing::HasSubstr;

constexpr Duration kPatience = std::chrono::minutes(3);

TrainingWish wish() {
  return {.strategy_yaml = demanding_strategy(120),
          .checkpoint_every_epochs = 1,
          .checkpoint_every_seconds = 0.02,
          .checkpoint_budget_percent = 100};
}

TEST(CheckpointFailures, AFullDiskIsToldEverywhereTrainingGoesOnAndTheNextSaveIsAWholeOne) {
  const Fingerprint undisturbed = train_undisturbed(wish(), kPatience).fingerprint;
  SmallDisk disk(SmallDisk::Kind::kLoop, 16);
  const std::string place = disk.path() / "checkpoints";
  TestSystem system({.local_workers = 0, .serve_options = {"--checkpoints", place}});
  ChildProcess& worker = system.start_worker("alpha", {"--checkpoints", place});
  const OperationId id = system.start_training(wish());
  system.wait_for_step(id, 20);

  disk.fill();
  api::Operation seen;
  const auto wait_until = [&](auto condition) {
    EXPECT_TRUE(eventually(
        [&] {
          seen = system.operation(id);
          return is_finished(seen.status) || (seen.checkpoint_counts && condition());
        },
        kPatience));
    return seen.status == OperationStatus::kRunning;
  };
  ASSERT_TRUE(wait_until([&] { return seen.checkpoint_counts->failed >= 3 && !seen.warnings.empty(); }));
  EXPECT_THAT(seen.warnings.front(), HasSubstr("was not saved"));
  EXPECT_GE(scrape(system, system.url()).value("ktrdr_checkpoint_failures_total").value_or(0), 3);
  EXPECT_GE(scrape(system, system.worker_url("alpha"))
                .value("ktrdr_checkpoint_saves_total", {{"outcome", "failed"}})
                .value_or(0),
            3);
  const auto log = read_file(system.folder() / "alpha.log", 1 << 22);
  ASSERT_TRUE(log.ok());
  EXPECT_THAT(*log, HasSubstr("a checkpoint was not saved"));
  EXPECT_THAT(*log, HasSubstr("operation=" + id.value));
  EXPECT_THAT(system.ktrdr({"status", id.value}).out, HasSubstr("was not saved"));
  const std::int64_t step = seen.progress.context.global_step, saved = seen.checkpoint_counts->saved;
  ASSERT_TRUE(wait_until([&] { return seen.progress.context.global_step > step + 20; }));
  EXPECT_EQ(seen.checkpoint_counts->saved, saved) << "and it was full all the time";

  disk.empty();
  ASSERT_TRUE(wait_until([&] { return seen.checkpoint_counts->saved > saved; }));
  EXPECT_THAT(seen.warnings.back(), HasSubstr("was saved again"));
  worker.kill_and_reap();
  system.wait_for_status(id, OperationStatus::kFailed);
  system.start_worker("beta", {"--checkpoints", place});
  system.wait_for_a_free_worker();
  system.resume(id);
  system.wait_for_status(id, OperationStatus::kCompleted, kPatience);
  EXPECT_EQ(fingerprint_of(system, id), undisturbed);
}

}  // namespace
}  // namespace ktrdr::system_test
