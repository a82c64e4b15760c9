// The promise: whatever a run was stopped by and wherever, resuming it ends in the same bits as never
// stopping it.
#include "training_bench.h"

namespace ktrdr::training::testing {
namespace {

using strategy::Monitor;
using strategy::ScheduleType;

class ExactResume : public TrainingBench {
 protected:
  void expect_exact_from_every_point() {
    const Process undisturbed = run();
    ASSERT_TRUE(undisturbed.completed());
    for (std::int64_t stop_after = 0; stop_after <= undisturbed.calls; ++stop_after) {
      const Process resumed = stopped_and_resumed(stop_after);
      ASSERT_TRUE(resumed.completed()) << "stopped after call " << stop_after;
      EXPECT_TRUE(resumed.ending == undisturbed.ending) << "stopped after call " << stop_after;
    }
  }

  void use_step_schedule() {
    strategy_.training.schedule = {.type = ScheduleType::kStep, .step_size = 2, .gamma = 0.3};
  }
  void use_plateau_schedule() {
    strategy_.training.schedule = {
        .type = ScheduleType::kReduceOnPlateau, .factor = 0.5, .patience = 1, .threshold = 0.5};
  }
};

TEST_F(ExactResume, FromEveryPointOfAPlainRun) { expect_exact_from_every_point(); }

TEST_F(ExactResume, FromEveryPointWithAStepSchedule) {
  use_step_schedule();
  expect_exact_from_every_point();
  EXPECT_LT(run().state.schedule.learning_rate, strategy_.training.learning_rate);
}

TEST_F(ExactResume, FromEveryPointWithAPlateauSchedule) {
  use_plateau_schedule();
  expect_exact_from_every_point();
  EXPECT_LT(run().state.schedule.learning_rate, strategy_.training.learning_rate);
}

TEST_F(ExactResume, FromEveryPointWithEarlyStoppingOnTheLoss) {
  use_plateau_schedule();
  strategy_.training.epochs = 8;
  strategy_.training.early_stopping = {
      .patience = 3, .minimum_delta = 0.5, .monitor = Monitor::kValidationLoss};
  expect_exact_from_every_point();
  EXPECT_TRUE(run().state.stopped_early);
}

TEST_F(ExactResume, FromEveryPointWithEarlyStoppingOnTheAccuracy) {
  use_step_schedule();
  strategy_.training.epochs = 8;
  strategy_.training.early_stopping = {
      .patience = 2, .minimum_delta = 0.5, .monitor = Monitor::kValidationAccuracy};
  expect_exact_from_every_point();
  EXPECT_TRUE(run().state.stopped_early);
}

TEST_F(ExactResume, FromEveryPointWhenNoEpochIsEverBest) {
  change_evaluation_ = [](LossSums& sums) { sums.weighted_loss = std::numeric_limits<double>::quiet_NaN(); };
  const Process undisturbed = run();
  ASSERT_TRUE(undisturbed.completed());
  EXPECT_FALSE(undisturbed.state.best.exists());
  for (std::int64_t stop_after = 0; stop_after <= undisturbed.calls; ++stop_after) {
    const Process resumed = stopped_and_resumed(stop_after);
    EXPECT_TRUE(resumed.ending.model == undisturbed.ending.model) << stop_after;
    EXPECT_TRUE(resumed.ending.trainer == undisturbed.ending.trainer) << stop_after;
  }
}

TEST_F(ExactResume, AfterAShutdownAsAfterACancel) {
  const Process undisturbed = run();
  for (const std::int64_t stop_after : {3, 8, 11}) {
    const Process resumed = stopped_and_resumed(stop_after, StopRequest::kShutdown);
    EXPECT_TRUE(resumed.ending == undisturbed.ending) << stop_after;
  }
}

TEST_F(ExactResume, FromThePeriodicCheckpointsOfARunThatWasKilled) {
  options_.checkpoints = {.every_epochs = 1, .every = Duration(0), .overhead_budget = 1e9};
  each_call_takes_ = Duration(1);
  const Process undisturbed = run();
  ASSERT_EQ(undisturbed.sink.saved.size(), 5U);  // the initial one and one per epoch
  for (const SavedCheckpoint& saved : undisturbed.sink.saved) {
    auto context = resume_context(saved.snapshot);
    ASSERT_THAT(context, IsOk());
    const Process resumed = run(std::move(context).value());
    EXPECT_TRUE(resumed.ending == undisturbed.ending) << "from epoch " << saved.snapshot.position.start_epoch;
  }
}

TEST_F(ExactResume, ThroughTwentyStopsInARow) {
  use_plateau_schedule();
  strategy_.training.epochs = 12;
  const Process undisturbed = run();
  std::optional<TrainingResumeContext> context;
  std::int64_t stops = 0;
  for (; stops < 20; ++stops) {
    const std::int64_t stop_after = sample_order(99, stops, 9)[0];  // 0 to 8 calls later
    const Process stopped = run(std::move(context), stop_after);
    ASSERT_FALSE(stopped.completed());
    context = context_of(stopped);
  }
  const Process last = run(std::move(context));
  EXPECT_TRUE(last.ending == undisturbed.ending);
}

TEST_F(ExactResume, AcrossADifferentPaceOfCheckpoints) {
  const Process undisturbed = run();
  each_call_takes_ = Duration(1);
  const CheckpointPolicyOptions policies[] = {
      {.every_epochs = 0, .every = Duration(1), .overhead_budget = 1e9},
      {.every_epochs = 1, .every = Duration(0), .overhead_budget = 1},
      {.every_epochs = 3, .every = Duration(5), .overhead_budget = 0.1},
      {.every_epochs = 1, .every = Duration(1), .overhead_budget = 0.0001}};
  std::vector<std::size_t> counts;
  for (const CheckpointPolicyOptions& policy : policies) {
    options_.checkpoints = policy;
    const Process other = run();
    EXPECT_TRUE(other.ending == undisturbed.ending) << policy.overhead_budget;
    counts.push_back(other.sink.saved.size());
  }
  EXPECT_GT(counts.front(), 20U);
  EXPECT_LT(counts.back(), 3U) << "the policies differ, the model does not";
}

// ---- why the Python system's resume differs: one test per cause of its list ----

TEST_F(ExactResume, Cause1_ShuffleAndDropoutGoOnWhereTheyWere) {
  const Process undisturbed = run();
  const Process stopped = run(std::nullopt, 3);
  const Process resumed = run(context_of(stopped));
  std::vector<Step> both = stopped.steps;
  both.insert(both.end(), resumed.steps.begin(), resumed.steps.end());
  EXPECT_EQ(both, undisturbed.steps);  // the same rows in the same order, with the same step keys of dropout
}

TEST_F(ExactResume, Cause2_ACheckpointInsideAnEpochHoldsThatPointAndNoStepIsDoneTwice) {
  const Process stopped = run(std::nullopt, 3);
  const TrainingSnapshot& saved = stopped.last_saved();
  EXPECT_EQ(saved.position, (Position{.start_epoch = 0, .start_batch = 3}));
  EXPECT_EQ(saved.global_step, 3);
  EXPECT_EQ(*saved.optimizer.i64_scalar("step"), 3);
  const Process resumed = run(context_of(stopped));
  EXPECT_EQ(resumed.steps.front().global_step, 3);
  EXPECT_EQ(*resumed.ending.optimizer.i64_scalar("step"), strategy_.training.epochs * batches());
}

TEST_F(ExactResume, Cause3_ASnapshotIsNotTouchedWhileItIsBeingSaved) {
  options_.checkpoints = {.every_epochs = 1, .every = Duration(0), .overhead_budget = 1e9};
  prepare_sink_ = [](MemoryCheckpointSink& sink) { sink.background_is_slow = true; };
  const Process slow = run();  // the sink compares when train() makes it finish
  ASSERT_TRUE(slow.completed());
  EXPECT_EQ(slow.sink.saved.size(), 2U);
  EXPECT_TRUE(slow.sink.idle());
}

TEST_F(ExactResume, Cause4_TheBestModelIsACopyAndItsWeightsAreHandedBack) {
  int validations = 0;  // 4 chunks each; only the first epoch is good
  change_evaluation_ = [&](LossSums& sums) { sums.weighted_loss = 1.0 + validations++ / 4; };
  const Process first_epoch = run(std::nullopt, batches() + 4 + 1);
  ASSERT_EQ(first_epoch.state.best.epoch, 0);
  ASSERT_NE(first_epoch.last_saved().best_model, nullptr);
  EXPECT_NE(*first_epoch.last_saved().best_model, first_epoch.last_saved().model);
  const Process resumed = run(context_of(first_epoch));
  ASSERT_TRUE(resumed.completed());
  EXPECT_EQ(resumed.state.best.epoch, 0);
  EXPECT_EQ(resumed.ending.model, *first_epoch.last_saved().best_model);
  EXPECT_EQ(resumed.state.history.size(), 4U);
}

TEST_F(ExactResume, Cause5_EarlyStoppingGoesOnCounting) {
  strategy_.training.epochs = 12;
  strategy_.training.early_stopping = {.patience = 5, .minimum_delta = 100};
  const Process undisturbed = run();
  ASSERT_EQ(undisturbed.state.history.size(), 6U);
  const Process stopped = run(std::nullopt, 3 * (batches() + 4) + 2);  // two misses so far
  EXPECT_EQ(stopped.state.early_stopping.misses, 2);
  EXPECT_EQ(run(context_of(stopped)).state.history.size(), 6U);
}

TEST_F(ExactResume, Cause6_HistoryHasEveryEpochOnce) {
  const Process undisturbed = run();
  const Process stopped = run(std::nullopt, 2 * (batches() + 4) + 3);
  const Process resumed = run(context_of(stopped));
  ASSERT_EQ(resumed.ending.metrics.history.size(), 4U);
  for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
    EXPECT_EQ(resumed.ending.metrics.history[static_cast<std::size_t>(epoch)].epoch, epoch);
  }
  EXPECT_EQ(resumed.ending.metrics, undisturbed.ending.metrics);
  EXPECT_EQ(stopped.observer.epochs.size() + resumed.observer.epochs.size(), 4U);
  ASSERT_EQ(resumed.observer.restored.size(), 1U);
  EXPECT_EQ(resumed.observer.restored[0], stopped.state.history);
}

TEST_F(ExactResume, Cause7_TheBestAccuracyIsTheOneThatWasMeasured) {
  const Process undisturbed = run();
  const Process resumed = stopped_and_resumed(4 * (batches() + 4) - 1);
  EXPECT_EQ(resumed.ending.metrics.best_val_accuracy, undisturbed.ending.metrics.best_val_accuracy);
  const auto best = static_cast<std::size_t>(resumed.state.best.epoch);
  EXPECT_EQ(resumed.ending.metrics.best_val_accuracy, undisturbed.state.history[best].val_accuracy);
}

TEST_F(ExactResume, Cause8_OtherDataOrAnotherStrategyAreRefused) {
  const Process stopped = run(std::nullopt, 8);
  const strategy::Dataset data = dataset_;
  const strategy::Strategy strategy = strategy_;
  const std::function<void()> changes[] = {
      [&] { dataset_.class_weights[0] *= 2; }, [&] { dataset_.normalization[1].offset += 1e-9; },
      [&] { dataset_ = example_dataset(240); }, [&] { strategy_.training.batch_size = 17; },
      [&] { options_.seed = 43; }};
  for (const auto& change : changes) {
    change();
    const Process refused = run(context_of(stopped));
    EXPECT_THAT(*refused.outcome, FailsWith(ErrorCode::kConflict));
    EXPECT_TRUE(refused.steps.empty());
    EXPECT_TRUE(refused.sink.saved.empty());
    dataset_ = data;
    strategy_ = strategy;
    options_.seed = 42;
  }
  EXPECT_TRUE(run(context_of(stopped)).completed());
}

TEST_F(ExactResume, Cause9_ThePlaceInsideAnEpochIsSaved) {
  const Process stopped = run(std::nullopt, batches() + 4 + 2);
  EXPECT_EQ(stopped.last_saved().position, (Position{.start_epoch = 1, .start_batch = 2}));
  EXPECT_EQ(stopped.state.running.count, 32);
  EXPECT_EQ(run(context_of(stopped)).observer.epochs.front(), run().observer.epochs[1]);
}

TEST_F(ExactResume, Cause10_ScheduleAndOptimizerGoOn) {
  use_plateau_schedule();
  const Process undisturbed = run();
  const Process stopped = run(std::nullopt, 2 * (batches() + 4) + 1);
  const Process resumed = run(context_of(stopped));
  EXPECT_EQ(resumed.state.schedule, undisturbed.state.schedule);
  EXPECT_EQ(resumed.ending.optimizer, undisturbed.ending.optimizer);
}

TEST_F(ExactResume, Cause11_ATimeBasedCheckpointNeedsNoCompletedEpoch) {
  options_.checkpoints = {.every_epochs = 10, .every = Duration(2), .overhead_budget = 1e9};
  each_call_takes_ = Duration(1);
  const Process stopped = run(std::nullopt, 3);
  ASSERT_EQ(stopped.sink.saved.size(), 3U);
  EXPECT_EQ(stopped.sink.saved[1].type, api::CheckpointType::kPeriodic);
  EXPECT_EQ(stopped.sink.saved[1].snapshot.position, (Position{.start_epoch = 0, .start_batch = 2}));
}

TEST_F(ExactResume, Cause13_AResumedRunThatTurnsBadFailsAndSavesNothing) {
  const Process stopped = run(std::nullopt, 3);
  dataset_.features.assign(dataset_.features.size(), std::numeric_limits<float>::quiet_NaN());
  const Process failed = run(context_of(stopped));
  EXPECT_THAT(*failed.outcome, FailsWith(ErrorCode::kInternal));
  EXPECT_TRUE(failed.sink.saved.empty());
}

}  // namespace
}  // namespace ktrdr::training::testing
