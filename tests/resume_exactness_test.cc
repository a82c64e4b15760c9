// The promise: the finished model is bit-identical to the one an undisturbed run would have produced,
// whatever was killed on the way. Real processes, real kills, hashes.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "support/saving_zombie.h"
#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;
constexpr int kEpochs = 120;

TrainingWish wish() { return {.strategy_yaml = demanding_strategy(kEpochs)}; }

// Trained once for all tests of this program.
const Reference& undisturbed() {
  static const Reference reference = train_undisturbed(wish());
  return reference;
}

// Before any test, whichever is chosen: no disturbed run may wait for it.
class ReferenceFirst final : public ::testing::Environment {
  void SetUp() override { undisturbed(); }
};
const auto* const kReferenceFirst = ::testing::AddGlobalTestEnvironment(new ReferenceFirst);

// Random, but the same at every run of the test. Not near the end: the training goes on while we hear of its
// step, and by the time we act it might be complete.
std::int64_t random_step(std::mt19937& random, double from = 0.05, double to = 0.6) {
  std::uniform_real_distribution<double> share(from, to);
  return static_cast<std::int64_t>(share(random) * static_cast<double>(undisturbed().steps));
}

void expect_same_model(TestSystem& system, const OperationId& id) {
  system.wait_for_status(id, OperationStatus::kCompleted);
  EXPECT_EQ(fingerprint_of(system, id), undisturbed().fingerprint);
}

TEST(ResumeExactness, TheReferenceIsWorthComparing) {
  const Fingerprint& files = undisturbed().fingerprint;
  for (const char* name : {"model.safetensors", "metrics.json", "test_report.json", "strategy.yaml",
                           "features.json", "metadata.json"}) {
    EXPECT_TRUE(files.contains(name)) << name;
  }
  EXPECT_GT(undisturbed().steps, 10'000);
}

TEST(ResumeExactness, AnotherSeedGivesAnotherModel) {
  TestSystem system;
  TrainingWish other = wish();
  other.seed = 8;
  const OperationId id = system.start_training(other);
  system.wait_for_status(id, OperationStatus::kCompleted);
  EXPECT_NE(fingerprint_of(system, id)["model.safetensors"],
            undisturbed().fingerprint.at("model.safetensors"));
}

TEST(ResumeExactness, CancelAtARandomBatchAndResume) {
  TestSystem system;
  std::mt19937 random(1);
  const OperationId id = system.start_training(wish());
  system.wait_for_step(id, random_step(random));
  const auto cancelled = system.api().cancel(id, {});
  ASSERT_TRUE(cancelled.ok()) << cancelled.error().describe();
  EXPECT_EQ(cancelled->data.status, OperationStatus::kCancelled);
  const auto stopped = system.operation(id);
  ASSERT_TRUE(stopped.checkpoint.has_value());
  EXPECT_EQ(stopped.checkpoint->checkpoint_type, CheckpointType::kCancellation);
  EXPECT_EQ(stopped.checkpoint->global_step, stopped.progress.context.global_step)
      << "no batch is lost by a cancel";
  system.resume(id);
  expect_same_model(system, id);
}

TEST(ResumeExactness, KillTheWorkerAtARandomMomentAndResume) {
  TestSystem system;
  std::mt19937 random(2);
  const OperationId id = system.start_training(wish());
  system.wait_for_step(id, random_step(random));
  system.signal_worker(id, SIGKILL);
  const auto failed = system.wait_for_status(id, OperationStatus::kFailed);
  EXPECT_NE(failed.error_message.value_or("").find("ktrdr resume " + id.value), std::string::npos)
      << "says what to do";
  system.resume(id);
  expect_same_model(system, id);
}

TEST(ResumeExactness, SigtermOfTheWorkerHandsBackAndResumes) {
  TestSystem system({.local_workers = 0});
  ChildProcess& worker = system.start_worker("alpha");
  std::mt19937 random(3);
  const OperationId id = system.start_training(wish());
  system.wait_for_step(id, random_step(random));
  worker.signal(SIGTERM);
  EXPECT_EQ(worker.wait(std::chrono::seconds(25)), 0);
  const auto stopped = system.operation(id);
  EXPECT_EQ(stopped.status, OperationStatus::kCancelled);
  ASSERT_TRUE(stopped.checkpoint.has_value());
  EXPECT_EQ(stopped.checkpoint->checkpoint_type, CheckpointType::kShutdown);
  system.start_worker("beta");
  system.wait_for_workers(1);
  system.resume(id);
  expect_same_model(system, id);
}

TEST(ResumeExactness, KillTheServerWhileTrainingGoesOn) {
  TestSystem system;
  std::mt19937 random(4);
  const OperationId id = system.start_training(wish());
  const auto before = system.wait_for_step(id, random_step(random, 0.05, 0.5));
  system.kill_server();
  system.start_server();  // on another port
  const auto after = system.operation(id);
  EXPECT_EQ(after.status, OperationStatus::kRunning) << "no flicker of status";
  EXPECT_EQ(after.attempt, before.attempt);
  EXPECT_EQ(after.version, before.version);
  expect_same_model(system, id);
  EXPECT_EQ(system.operation(id).attempt, before.attempt) << "the training was never interrupted";
}

TEST(ResumeExactness, TheServerIsAwayWhenTheTrainingEnds) {
  TestSystem system;
  const OperationId id = system.start_training(wish());
  system.wait_for_step(id, undisturbed().steps / 2);
  const pid_t worker = system.worker_pid(id);
  system.kill_server();
  const auto model = system.data_dir() / "models" / id.value / "1" / "model.safetensors";
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(model); }, std::chrono::seconds(60)));
  EXPECT_EQ(::kill(worker, 0), 0) << "the worker waits for the server";
  system.start_server();
  expect_same_model(system, id);
}

TEST(ResumeExactness, ResumeOnAnotherWorker) {
  TestSystem system({.local_workers = 0});
  ChildProcess& alpha = system.start_worker("alpha");
  std::mt19937 random(5);
  const OperationId id = system.start_training(wish());
  system.wait_for_step(id, random_step(random));
  alpha.kill_and_reap();
  EXPECT_EQ(system.wait_for_status(id, OperationStatus::kFailed).worker_name, "alpha");
  system.start_worker("beta");
  system.wait_for_workers(1);
  system.resume(id);
  expect_same_model(system, id);
  EXPECT_EQ(system.operation(id).attempt, 2);
}

// A worker that was frozen for longer than its lease wakes up beside its successor.
TEST(ResumeExactness, AZombieIsRefusedAndChangesNothing) {
  TestSystem system({.local_workers = 0});
  ChildProcess& alpha = system.start_worker("alpha");
  const OperationId id = system.start_training(wish());
  system.wait_for_step(id, undisturbed().steps / 4);
  alpha.signal(SIGSTOP);
  system.wait_for_status(id, OperationStatus::kFailed);
  system.start_worker("beta");
  ASSERT_TRUE(eventually([&] { return !system.api().workers()->empty(); }));
  system.resume(id);
  system.wait_for_step(id, undisturbed().steps / 3);
  alpha.signal(SIGCONT);
  expect_same_model(system, id);
  EXPECT_TRUE(eventually([&] {
    const auto workers = system.api().workers();
    return workers.ok() && std::any_of(workers->begin(), workers->end(), [](const auto& worker) {
             return worker.name == "alpha" && worker.status == "available";
           });
  })) << "the zombie has stopped its training and is free again";
}

TEST(ResumeExactness, AZombieThatSavesBesideItsSuccessorDisturbsNothing) {
  TestSystem system({.local_workers = 0});
  auto objects = checkpoints::FileCheckpointStore::open(system.data_dir() / "checkpoints");
  ASSERT_TRUE(objects.ok());
  expect_a_zombie_disturbs_nothing(system, *objects, wish(), undisturbed().fingerprint);
}

TEST(ResumeExactness, ADamagedNewestCheckpointFallsBackAndSaysSo) {
  TestSystem system;
  const OperationId id = system.start_training(wish());
  ASSERT_TRUE(eventually([&] {
    return system.api().checkpoint(id).ok() && system.api().checkpoint(id)->data.kept.size() == 2;
  }));
  system.wait_for_step(id, undisturbed().steps / 3);
  system.signal_worker(id, SIGKILL);
  system.wait_for_status(id, OperationStatus::kFailed);
  const auto shown = system.api().checkpoint(id);
  ASSERT_TRUE(shown.ok());
  ASSERT_EQ(shown->data.kept.size(), 2u);
  const auto file = std::filesystem::path(shown->data.artifacts_path) / "optimizer.safetensors";
  std::filesystem::permissions(file, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
  {
    std::fstream damaged(file, std::ios::in | std::ios::out | std::ios::binary);
    damaged.seekp(-3, std::ios::end);
    damaged.put('\x55');
  }
  system.resume(id);
  expect_same_model(system, id);
  const auto warnings = system.operation(id).warnings;
  ASSERT_FALSE(warnings.empty());
  EXPECT_NE(warnings.front().find("damaged"), std::string::npos) << warnings.front();
}

TEST(ResumeExactness, BothCheckpointsDamagedIsAClearRefusal) {
  TestSystem system;
  const OperationId id = system.start_training(wish());
  system.wait_for_step(id, undisturbed().steps / 3);
  ASSERT_TRUE(system.api().cancel(id, {}).ok());
  const auto shown = system.api().checkpoint(id);
  ASSERT_TRUE(shown.ok());
  for (const auto& kept : shown->data.kept) {
    std::filesystem::resize_file(
        system.data_dir() / "checkpoints" / id.value / kept.ref.to_string() / "model.safetensors", 100);
  }
  system.wait_for_a_free_worker();
  const auto refused = system.api().resume(id, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCheckpointCorrupted) << refused.error().describe();
  EXPECT_EQ(system.operation(id).status, OperationStatus::kFailed);
}

TEST(ResumeExactness, TwentyDisturbancesInOneRun) {
  TestSystem system({.local_workers = 2});
  std::mt19937 random(6);
  TrainingWish frequent = wish();
  frequent.checkpoint_every_epochs = 1;
  frequent.checkpoint_every_seconds = 0.05;
  const OperationId id = system.start_training(frequent);
  for (int i = 1; i <= 20; ++i) {
    SCOPED_TRACE("disturbance " + std::to_string(i));
    // Each a little further on, so that all twenty hit a run that still trains.
    const auto step = static_cast<std::int64_t>(static_cast<double>(undisturbed().steps) * i / 24);
    const auto operation = system.wait_for_step(id, step);
    ASSERT_FALSE(is_finished(operation.status)) << "nothing is left to disturb";
    switch (std::uniform_int_distribution(0, 3)(random)) {
      case 0: system.signal_worker(id, SIGKILL); break;
      case 1: system.signal_worker(id, SIGTERM); break;
      case 2: ASSERT_TRUE(system.api().cancel(id, {}).ok()); break;
      case 3:
        system.kill_server();
        system.start_server();
        continue;  // the training went on
    }
    ASSERT_TRUE(eventually([&] { return is_resumable(system.operation(id).status); }));
    system.resume(id);
  }
  expect_same_model(system, id);
  EXPECT_GT(system.operation(id).attempt, 5) << "it was really resumed";
}

}  // namespace
}  // namespace ktrdr::system_test
