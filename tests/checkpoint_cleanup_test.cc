// Clean-up beside real workers: it runs without a pause while they save as fast as they can, are killed and
// go on, and it takes what nobody names and nothing else (rules 10 and 11).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

constexpr int kEpochs = 200;
constexpr std::int64_t kSavesPerRound = 3;  // few enough for a slow disk: the training must not end before
constexpr Duration kPatience = std::chrono::minutes(3);  // each save waits for the disk

// Saves as often as makes sense: about as long as a save takes.
TrainingWish restless() {
  return {.strategy_yaml = demanding_strategy(kEpochs),
          .checkpoint_every_epochs = 1,
          .checkpoint_every_seconds = 0.02,
          .checkpoint_budget_percent = 100};
}

// POST /checkpoints/cleanup again and again, from a thread of its own.
class EndlessCleanUp {
 public:
  explicit EndlessCleanUp(TestSystem& system)
      : thread_([this, &system](const std::stop_token& stop) {
          auto address = client::find_server({.data_dir = system.data_dir()}, client::process_environment());
          client::ApiClient api(*address);
          while (!stop.stop_requested()) {
            const auto cleaned = api.clean_up_checkpoints(1);
            if (!cleaned.ok()) ++failures_;
            else objects_ += cleaned->orphan_artifacts_cleaned;
            ++rounds_;
          }
        }) {}

  std::int64_t rounds() const { return rounds_; }
  std::int64_t objects() const { return objects_; }
  std::int64_t failures() const { return failures_; }

 private:
  std::atomic<std::int64_t> rounds_ = 0, objects_ = 0, failures_ = 0;
  std::jthread thread_;
};

std::int64_t bytes_in(const fs::path& folder) {
  std::int64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += static_cast<std::int64_t>(entry.file_size());
  }
  return bytes;
}

TEST(CheckpointCleanUp, NeverTouchesASaveInFlight) {
  const Fingerprint undisturbed =
      train_undisturbed({.strategy_yaml = demanding_strategy(kEpochs)}, kPatience).fingerprint;
  TestSystem system({.local_workers = 2, .lease_seconds = 5});
  const EndlessCleanUp clean_up(system);
  const OperationId id = system.start_training(restless());
  const fs::path folder = system.data_dir() / "checkpoints" / id.value;
  std::int64_t saved = 0;
  for (int round = 1; round <= 5; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    api::Operation running;
    ASSERT_TRUE(eventually(
        [&] {
          running = system.operation(id);
          return is_finished(running.status) ||
                 (running.checkpoint_counts && running.checkpoint_counts->saved >= kSavesPerRound);
        },
        kPatience))
        << "it is " << to_string(running.status) << ": " << running.error_message.value_or("");
    ASSERT_FALSE(is_finished(running.status)) << running.error_message.value_or("");
    saved += running.checkpoint_counts->saved;
    EXPECT_EQ(running.checkpoint_counts->failed, 0);
    EXPECT_TRUE(running.seconds_at_risk.has_value());
    system.signal_worker(id, round % 2 == 0 ? SIGKILL : SIGTERM);
    ASSERT_TRUE(eventually([&] { return is_resumable(system.operation(id).status); }))
        << api::to_json(system.operation(id));
    const auto shown = system.api().checkpoint(id);
    ASSERT_TRUE(shown.ok());
    for (const auto& kept : shown->data.kept)
      EXPECT_TRUE(fs::exists(folder / kept.ref.to_string() / "manifest.json")) << kept.ref.to_string();
    // What a crashed worker leaves behind, to see that the clean-up does take something meanwhile: it may be
    // faster than the copy.
    std::error_code taken_meanwhile;
    fs::copy(folder / shown->data.state.ref.to_string(),
             folder / (std::to_string(running.attempt) + "-900000"), fs::copy_options::recursive,
             taken_meanwhile);
    system.resume(id);
  }
  const auto ended = system.wait_for_status(id, OperationStatus::kCompleted, kPatience);
  EXPECT_THAT(ended.warnings, IsEmpty());
  EXPECT_EQ(fingerprint_of(system, id), undisturbed);
  EXPECT_EQ(clean_up.failures(), 0);
  EXPECT_GE(clean_up.objects(), 5) << "it struck";
  EXPECT_GE(clean_up.rounds(), 100);
  EXPECT_GE(saved, 5 * kSavesPerRound) << "there was something to strike";
}

TEST(CheckpointCleanUp, TheStatsAreWhatLiesInTheFolder) {
  TestSystem system;
  const OperationId id = system.start_training(restless());
  system.wait_for_step(id, 20);
  ASSERT_TRUE(system.api().cancel(id, {}).ok());
  ASSERT_TRUE(system.api().clean_up_checkpoints(std::nullopt).ok());
  const auto stats = system.api().checkpoint_stats();
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats->total_checkpoints, 1);
  EXPECT_EQ(stats->kept_checkpoints, 2);
  EXPECT_EQ(stats->total_size_bytes, bytes_in(system.data_dir() / "checkpoints"));
  ASSERT_TRUE(system.api().delete_checkpoint(id).ok());
  EXPECT_EQ(system.api().checkpoint_stats()->kept_checkpoints, 0);
  EXPECT_EQ(bytes_in(system.data_dir() / "checkpoints"), 0);
}

TEST(CheckpointCleanUp, AnAgeThatMakesNoSenseIsSaidAtTheStart) {
  TestSystem any;
  const auto refused = any.ktrdr({"serve", "--data-dir", any.folder() / "other", "--port", "0",
                                  "--local-workers", "0", "--checkpoint-max-age-days", "0"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--checkpoint-max-age-days must be from 1 to 36500."));
}

}  // namespace
}  // namespace ktrdr::system_test
