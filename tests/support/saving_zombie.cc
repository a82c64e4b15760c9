#include "support/saving_zombie.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ktrdr/worker/checkpoint_pipeline.h"
#include "ktrdr/worker/server_link.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;

constexpr Duration kPatience = std::chrono::minutes(3);
constexpr Duration kPause = std::chrono::milliseconds(20);  // after each save: others have to train too

training::TrainingSnapshot some_state(std::int64_t number) {
  training::TrainingSnapshot taken;
  for (auto* tensors : {&taken.model, &taken.optimizer, &taken.trainer}) tensors->put_scalar("x", number);
  taken.global_step = number;
  return taken;
}

}  // namespace

SavingZombie::SavingZombie(TestSystem& system, checkpoints::CheckpointStore& objects,
                           const ReplacedWorker& self)
    : system_(system), objects_(objects), thread_([this, self](const std::stop_token& stop) {
        for (std::int64_t next = self.last_saved.sequence + 1; !stop.stop_requested(); ++next) {
          save(self, next);
          std::this_thread::sleep_for(kPause);
        }
      }) {}

void SavingZombie::stop() {
  thread_.request_stop();
  thread_.join();
}

// A pipeline gives up at its first refusal, so each save has a new one: it has not heard of the one before.
void SavingZombie::save(const ReplacedWorker& self, std::int64_t sequence) {
  SystemClock clock;
  worker::ServerLink link({.data_dir = system_.data_dir()}, [](const std::string&) { return std::nullopt; });
  worker::RunReport report;
  training::StopSignal told;
  worker::CheckpointPipeline pipeline(clock, objects_, link, report, told,
                                      {.operation = self.operation,
                                       .attempt = self.attempt,
                                       .worker = self.worker,
                                       .acknowledged = self.last_saved,
                                       .next_sequence = sequence,
                                       .strategy_yaml = "name: zombie\n"});
  const auto state = some_state(sequence);
  const CheckpointRef ref = pipeline.enqueue(state, api::CheckpointType::kPeriodic);
  pipeline.step();
  const auto outcome = pipeline.outcome(ref);
  if (!outcome) return;  // the server was away
  if (outcome->ok()) ++accepted_;
  else if (told.requested() == training::StopRequest::kAbandon) ++refused_;
  else ++swept_away_;
}

void expect_a_zombie_disturbs_nothing(TestSystem& system, checkpoints::CheckpointStore& objects,
                                      const TrainingWish& wish,
                                      const std::map<std::string, std::string>& expected,
                                      const std::vector<std::string>& worker_options) {
  ChildProcess& replaced = system.start_worker("replaced", worker_options);
  const OperationId id = system.start_training(wish);
  system.wait_for_step(id, 20);
  const api::Operation before = system.operation(id);
  ASSERT_TRUE(before.worker_id.has_value());
  replaced.kill_and_reap();  // from here on the zombie is what is left of it
  system.wait_for_status(id, OperationStatus::kFailed);
  const auto shown = system.api().checkpoint(id);
  ASSERT_TRUE(shown.ok());
  SavingZombie zombie(system, objects, {id, before.attempt, {*before.worker_id}, shown->data.state.ref});
  EXPECT_TRUE(eventually([&] { return zombie.refused() >= 1; })) << "nobody trains, and it is refused too";

  system.start_worker("successor", worker_options);
  system.wait_for_a_free_worker();
  system.resume(id);
  api::CheckpointCounts of_the_successor;
  const auto has_saved_twice = [&] {
    of_the_successor = system.operation(id).checkpoint_counts.value_or(of_the_successor);
    return of_the_successor.saved >= 2;
  };
  const std::int64_t refused_before = zombie.refused();
  ASSERT_TRUE(eventually(has_saved_twice, kPatience));
  EXPECT_EQ(of_the_successor.failed, 0);
  EXPECT_GT(zombie.refused(), refused_before) << "both saved at once";
  const auto cleaned = system.api().clean_up_checkpoints(std::nullopt);
  ASSERT_TRUE(cleaned.ok());
  EXPECT_GE(cleaned->orphan_artifacts_cleaned, 1) << "what the zombie wrote";

  ASSERT_FALSE(is_finished(system.operation(id).status));
  system.signal_worker(id, SIGKILL);
  system.wait_for_status(id, OperationStatus::kFailed);
  EXPECT_EQ(system.api().checkpoint(id)->data.state.ref.attempt, 2) << "the successor's";
  system.start_worker("third", worker_options);
  system.wait_for_a_free_worker();
  system.resume(id);
  const api::Operation ended = system.wait_for_status(id, OperationStatus::kCompleted, kPatience);
  EXPECT_THAT(ended.warnings, ::testing::IsEmpty()) << "nothing was damaged, nothing not saved";
  EXPECT_EQ(fingerprint_of(system, id), expected);
  EXPECT_TRUE(eventually([&, seen = zombie.refused()] { return zombie.refused() > seen; }))
      << "and still it saves";
  zombie.stop();
  EXPECT_EQ(zombie.accepted(), 0);
  ASSERT_TRUE(system.api().clean_up_checkpoints(std::nullopt).ok());
  EXPECT_THAT(objects.list(id).value(), ::testing::IsEmpty());
}

}  // namespace ktrdr::system_test
