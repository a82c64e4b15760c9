// What Prometheus reads from a real worker while it trains, and that reading it changes nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "ktrdr/client/http_client.h"
#include "ktrdr/strategy/dataset.h"
#include "ktrdr/strategy/strategy.h"
#include "support/scrape.h"
#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;
using metrics::testing::Exposition;
using ::testing::HasSubstr;

constexpr int kEpochs = 60;
constexpr std::int64_t kBatchSize = 32;  // of demanding_strategy()

TrainingWish wish() {
  return {.strategy_yaml = demanding_strategy(kEpochs),
          .checkpoint_every_epochs = 1,
          .checkpoint_every_seconds = 0.05,
          .checkpoint_budget_percent = 100};
}

// As the data says it, and not as the worker does.
std::int64_t rows_of_an_epoch(TestSystem& system) {
  const auto strategy = strategy::parse_strategy(demanding_strategy(kEpochs));
  const auto dataset = strategy::prepare_dataset(*strategy, {.folder = system.market()});
  EXPECT_TRUE(dataset.ok());
  return dataset.ok() ? static_cast<std::int64_t>(dataset->train.size()) : 0;
}

double saves(const Exposition& scrape, const std::string& outcome) {
  return scrape.value("ktrdr_checkpoint_saves_total", {{"outcome", outcome}}).value_or(-1);
}

double ended(const Exposition& scrape, const std::string& outcome) {
  return scrape.value("ktrdr_attempts_ended_total", {{"outcome", outcome}}).value_or(-1);
}

TEST(WorkerScrape, AWholeTrainingIsCountedAndItsModelIsTheUndisturbedOne) {
  const Reference undisturbed = train_undisturbed(wish());
  TestSystem system({.local_workers = 0});
  system.start_worker("alpha");
  const std::string url = system.worker_url("alpha");
  const Exposition before = scrape(system, url);
  EXPECT_EQ(before.value("ktrdr_training_samples_total"), 0);
  EXPECT_EQ(before.value("ktrdr_training_active"), 0);
  EXPECT_EQ(before.sum("ktrdr_checkpoint_saves_total"), 0);

  const OperationId id = system.start_training(wish());
  const Exposition during = scrape_until(system, url, [](Exposition& now) {
    return now.value("ktrdr_training_samples_total") > 0 && saves(now, "committed") > 0;
  });
  EXPECT_EQ(during.value("ktrdr_training_active"), 1);
  const Exposition after =
      scrape_until(system, url, [](Exposition& now) { return now.sum("ktrdr_attempts_ended_total") > 0; });
  system.wait_for_status(id, OperationStatus::kCompleted);
  EXPECT_EQ(fingerprint_of(system, id), undisturbed.fingerprint);

  EXPECT_EQ(after.value("ktrdr_training_samples_total"), kEpochs * rows_of_an_epoch(system));
  EXPECT_EQ(after.value("ktrdr_training_batches_total"), undisturbed.steps);
  EXPECT_EQ(after.value("ktrdr_training_epochs_total"), kEpochs);
  EXPECT_GT(after.value("ktrdr_training_seconds_total").value_or(0), 0);
  EXPECT_EQ(after.value("ktrdr_training_active"), 0);
  EXPECT_EQ(ended(after, "completed"), 1);
  EXPECT_EQ(after.sum("ktrdr_attempts_ended_total"), 1);
}

TEST(WorkerScrape, ItsCheckpointsAreCountedAndATakenOneIsAPause) {
  TestSystem system({.local_workers = 0});
  system.start_worker("alpha");
  const OperationId id = system.start_training(wish());
  const Exposition after = scrape_until(system, system.worker_url("alpha"), [](Exposition& now) {
    return now.sum("ktrdr_attempts_ended_total") > 0;
  });
  system.wait_for_status(id, OperationStatus::kCompleted);
  EXPECT_GE(saves(after, "committed"), 2);
  EXPECT_EQ(saves(after, "failed"), 0);
  // Nobody waits for the first one. The last one may have been on its way when the model was complete.
  const double taken = after.sum("ktrdr_checkpoint_saves_total") - 1;
  EXPECT_GE(after.value("ktrdr_checkpoint_pause_seconds_count").value_or(0), taken);
  EXPECT_LE(after.value("ktrdr_checkpoint_pause_seconds_count").value_or(0), taken + 1);
  EXPECT_GT(after.value("ktrdr_checkpoint_pause_seconds_sum").value_or(0), 0);
  EXPECT_EQ(after.value("ktrdr_checkpoint_commit_seconds_count"), saves(after, "committed"));
  EXPECT_GT(after.value("ktrdr_checkpoint_bytes_total").value_or(0), 1000 * saves(after, "committed"));
  EXPECT_EQ(after.value("ktrdr_checkpoint_age_seconds"), 0) << "there is nothing to lose any more";
}

TEST(WorkerScrape, AResumeCountsOnlyWhatItTrainedAndOneRestore) {
  TestSystem system({.local_workers = 0});
  ChildProcess& alpha = system.start_worker("alpha");
  const OperationId id = system.start_training(wish());
  ASSERT_TRUE(eventually([&] {
    const auto operation = system.operation(id);
    return operation.checkpoint && operation.checkpoint->start_epoch > 0;
  }));
  alpha.kill_and_reap();
  const auto checkpoint = *system.wait_for_status(id, OperationStatus::kFailed).checkpoint;
  system.start_worker("beta");
  const std::string url = system.worker_url("beta");
  system.resume(id);
  const Exposition after =
      scrape_until(system, url, [](Exposition& now) { return now.sum("ktrdr_attempts_ended_total") > 0; });
  system.wait_for_status(id, OperationStatus::kCompleted);
  EXPECT_EQ(after.value("ktrdr_checkpoint_restores_total", {{"outcome", "restored"}}), 1);
  EXPECT_EQ(after.value("ktrdr_checkpoint_restore_seconds_count"), 1);
  EXPECT_EQ(after.value("ktrdr_checkpoint_fallbacks_total"), 0);
  const std::int64_t rows = rows_of_an_epoch(system);
  const std::int64_t done =
      checkpoint.start_epoch * rows + std::min(checkpoint.start_batch * kBatchSize, rows);
  EXPECT_EQ(after.value("ktrdr_training_samples_total"), kEpochs * rows - done);
  EXPECT_EQ(after.value("ktrdr_training_epochs_total"), kEpochs - checkpoint.start_epoch);
}

TEST(WorkerScrape, TellsOfItsServerAndOfItself) {
  TestSystem system({.local_workers = 0});
  system.start_worker("alpha");
  const std::string url = system.worker_url("alpha");
  scrape_until(system, url, [](Exposition& now) { return now.value("ktrdr_server_reachable") == 1; });
  const OperationId id = system.start_training({.strategy_yaml = demanding_strategy(100'000)});
  const Exposition now = scrape_until(system, url, [](Exposition& seen) {
    return seen.value("ktrdr_heartbeats_total", {{"outcome", "accepted"}}) >= 2;
  });
  EXPECT_EQ(now.value("ktrdr_heartbeats_total", {{"outcome", "refused"}}), 0);
  EXPECT_EQ(now.value("ktrdr_build_info", {{"program", "worker"}, {"version", "0.1.0"}}), 1);
  EXPECT_GT(now.value("ktrdr_disk_free_bytes", {{"place", "checkpoints"}}).value_or(0), 0);
  EXPECT_GT(now.value("ktrdr_disk_free_bytes", {{"place", "models"}}).value_or(0), 0);

  system.kill_server();
  scrape_until(system, url, [](Exposition& seen) {
    return seen.value("ktrdr_server_reachable") == 0 && seen.value("ktrdr_heartbeat_age_seconds") > 1 &&
           seen.value("ktrdr_heartbeats_total", {{"outcome", "failed"}}) > 0;
  });
  const double samples = scrape(system, url).value("ktrdr_training_samples_total").value_or(0);
  scrape_until(system, url, [&](Exposition& seen) {
    return seen.value("ktrdr_training_samples_total").value_or(0) > samples;  // silence stops no training
  });
  system.start_server();
  scrape_until(system, url, [](Exposition& seen) { return seen.value("ktrdr_server_reachable") == 1; });
  ASSERT_EQ(system.ktrdr({"cancel", id.value}).exit_code, 0);
  scrape_until(system, url, [](Exposition& seen) { return ended(seen, "cancelled") == 1; });
}

TEST(WorkerScrape, NeedsTheToken) {
  TestSystem system({.local_workers = 0});
  system.start_worker("alpha");
  const std::string url = system.worker_url("alpha") + "/metrics";
  client::HttpClient http;
  EXPECT_EQ(http.request({.url = url})->status, 401);
  EXPECT_EQ(http.request({.url = url, .headers = {{"Authorization", "Bearer wrong"}}})->status, 401);
  EXPECT_EQ(http.request({.url = url, .headers = {{"Authorization", "Bearer " + system.token()}}})->status,
            200);
}

TEST(WorkerScrape, IsAllDescribedAndNothingElseIs) {
  TestSystem system({.local_workers = 0});
  system.start_worker("alpha");
  const Exposition now = scrape(system, system.worker_url("alpha"));
  EXPECT_GE(now.families().size(), 24u);
  EXPECT_EQ(difference_to_documentation(now, "The worker"), "");
  EXPECT_THAT(difference_to_documentation(now, "The server"), HasSubstr("ktrdr_training_samples_total"))
      << "it can tell";
}

}  // namespace
}  // namespace ktrdr::system_test
