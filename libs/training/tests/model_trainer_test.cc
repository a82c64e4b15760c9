#include "ktrdr/training/model_trainer.h"

#include "training_bench.h"

namespace ktrdr::training::testing {
namespace {

class ModelTrainerTest : public TrainingBench {
 protected:
  void save_after_every_epoch() {
    options_.checkpoints = {.every_epochs = 1, .every = Duration(0), .overhead_budget = 1e9};
    each_call_takes_ = Duration(1);
  }
  std::int64_t calls_per_epoch() const { return batches() + 4; }
};

TEST_F(ModelTrainerTest, TrainsEveryRowOncePerEpoch) {
  const Process whole = run();
  ASSERT_TRUE(whole.completed());
  ASSERT_EQ(static_cast<std::int64_t>(whole.steps.size()), 4 * batches());
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < static_cast<std::size_t>(batches()); ++i) {
    rows.insert(rows.end(), whole.steps[i].rows.begin(), whole.steps[i].rows.end());
  }
  std::sort(rows.begin(), rows.end());
  std::vector<std::int64_t> expected(static_cast<std::size_t>(dataset_.train.size()));
  std::iota(expected.begin(), expected.end(), dataset_.train.begin);
  EXPECT_EQ(rows, expected);
}

TEST_F(ModelTrainerTest, ShufflesEveryEpochAnew) {
  const Process whole = run();
  EXPECT_NE(whole.steps[0].rows, whole.steps[static_cast<std::size_t>(batches())].rows);
}

TEST_F(ModelTrainerTest, LearnsSomething) {
  strategy_.training.epochs = 40;
  const Process whole = run();
  EXPECT_LT(whole.state.history.back().val_loss, whole.state.history.front().val_loss);
  EXPECT_GT(whole.ending.report.test_accuracy, 0.5);
}

TEST_F(ModelTrainerTest, SavesAnInitialCheckpointBeforeTheFirstBatch) {
  const Process abandoned = run(std::nullopt, 1, StopRequest::kAbandon);
  ASSERT_EQ(abandoned.sink.saved.size(), 1U);
  EXPECT_EQ(abandoned.sink.saved[0].type, api::CheckpointType::kInitial);
  EXPECT_EQ(abandoned.sink.saved[0].snapshot.global_step, 0);
  EXPECT_EQ(*abandoned.sink.saved[0].snapshot.optimizer.i64_scalar("step"), 0);
}

TEST_F(ModelTrainerTest, DoesNotTrainWhenTheInitialCheckpointCannotBeSaved) {
  prepare_sink_ = [](MemoryCheckpointSink& sink) {
    sink.fail_with = Error(ErrorCode::kIo, "The disk is full.");
  };
  const Process refused = run();
  EXPECT_THAT(*refused.outcome, FailsWith(ErrorCode::kIo));
  EXPECT_TRUE(refused.steps.empty());
}

TEST_F(ModelTrainerTest, SavesNoInitialCheckpointWhenItResumes) {
  const Process stopped = run(std::nullopt, 3);
  const Process resumed = run(context_of(stopped));
  EXPECT_TRUE(resumed.sink.saved.empty());
}

TEST_F(ModelTrainerTest, NamesTheKindOfStopInTheCheckpointAndTheOutcome) {
  const Process cancelled = run(std::nullopt, 3, StopRequest::kCancel);
  EXPECT_EQ(cancelled.sink.saved.back().type, api::CheckpointType::kCancellation);
  EXPECT_EQ((*cancelled.outcome)->stop, StopRequest::kCancel);
  const Process shut_down = run(std::nullopt, 3, StopRequest::kShutdown);
  EXPECT_EQ(shut_down.sink.saved.back().type, api::CheckpointType::kShutdown);
  EXPECT_EQ((*shut_down.outcome)->kind, TrainingOutcome::Kind::kStopped);
  EXPECT_EQ((*shut_down.outcome)->position, (Position{.start_epoch = 0, .start_batch = 3}));
}

TEST_F(ModelTrainerTest, StopsAtTheVeryNextBatch) {
  EXPECT_EQ(run(std::nullopt, 3).steps.size(), 3U);
  EXPECT_EQ(run(std::nullopt, 0).steps.size(), 0U);
}

TEST_F(ModelTrainerTest, SavesNothingWhenItIsAbandoned) {
  const Process abandoned = run(std::nullopt, 3, StopRequest::kAbandon);
  EXPECT_EQ((*abandoned.outcome)->kind, TrainingOutcome::Kind::kAbandoned);
  EXPECT_EQ(abandoned.steps.size(), 3U);
  EXPECT_EQ(abandoned.sink.saved.size(), 1U);
  EXPECT_TRUE(run(std::nullopt, 0, StopRequest::kAbandon).sink.saved.empty());
}

TEST_F(ModelTrainerTest, TellsThatTheLastSaveFailed) {
  after_call_ = [](Process& now) { now.sink.fail_with = Error(ErrorCode::kIo, "The disk is full."); };
  const Process stopped = run(std::nullopt, 3);
  ASSERT_THAT(*stopped.outcome, IsOk());
  EXPECT_EQ((*stopped.outcome)->kind, TrainingOutcome::Kind::kStopped);
  ASSERT_TRUE((*stopped.outcome)->save_error.has_value());
  EXPECT_EQ((*stopped.outcome)->save_error->code, ErrorCode::kIo);
}

TEST_F(ModelTrainerTest, LeavesTheWholeEndOfAnEpochToTheResumeWhenItIsStoppedInside) {
  for (std::int64_t chunk = 1; chunk <= 4; ++chunk) {
    const Process stopped = run(std::nullopt, batches() + chunk);
    EXPECT_EQ(stopped.last_saved().position,
              (Position{.start_epoch = 0, .start_batch = batches(), .validation_pending = true}));
    EXPECT_TRUE(stopped.state.history.empty());
    EXPECT_EQ(stopped.last_saved().best_model, nullptr);
    EXPECT_TRUE(stopped.observer.epochs.empty());
  }
}

TEST_F(ModelTrainerTest, GoesStraightToTheEvaluationFromACheckpointAtTheVeryEnd) {
  save_after_every_epoch();
  const Process whole = run();
  ASSERT_TRUE(whole.last_saved().position.finished);
  const Process resumed = run(context_of(whole));
  ASSERT_TRUE(resumed.completed());
  EXPECT_EQ(resumed.calls, 1);
  EXPECT_TRUE(resumed.ending == whole.ending);
}

TEST_F(ModelTrainerTest, SavesTheFinishedTrainingWhenItsEvaluationFails) {
  const Process whole = run();
  fail_at_call_ = whole.calls;
  const Process failed = run();
  EXPECT_THAT(*failed.outcome, FailsWith(ErrorCode::kIo));
  ASSERT_EQ(failed.sink.saved.back().type, api::CheckpointType::kFailure);
  fail_at_call_ = -1;
  const Process resumed = run(context_of(failed));
  EXPECT_EQ(resumed.calls, 1);
  EXPECT_TRUE(resumed.ending == whole.ending);
}

TEST_F(ModelTrainerTest, FailsOnALossThatIsNotFiniteAndKeepsTheCheckpointsItHas) {
  after_call_ = [this](Process& now) {
    if (now.observer.epochs.size() == 1) dataset_.features.assign(dataset_.features.size(), NAN);
  };
  save_after_every_epoch();
  const Process failed = run();
  EXPECT_THAT(*failed.outcome, FailsWith(ErrorCode::kInternal));
  ASSERT_EQ(failed.sink.saved.size(), 2U);  // initial, periodic; none of the poisoned state
  EXPECT_EQ(failed.sink.saved[1].type, api::CheckpointType::kPeriodic);
}

TEST_F(ModelTrainerTest, TakesAValidationLossOfNanForAnEpochThatIsNotBest) {
  int chunks = 0;
  change_evaluation_ = [&](LossSums& sums) {
    if (chunks++ < 4) sums.weighted_loss = NAN;  // the first epoch
  };
  const Process whole = run();
  ASSERT_TRUE(whole.completed());
  EXPECT_TRUE(std::isnan(*whole.state.history[0].val_loss));
  EXPECT_GE(whole.state.best.epoch, 1);
}

TEST_F(ModelTrainerTest, TakesTheFirstOfEqualEpochsForTheBest) {
  change_evaluation_ = [](LossSums& sums) { sums.weighted_loss = sums.weight; };
  EXPECT_EQ(run().state.best.epoch, 0);
}

TEST_F(ModelTrainerTest, TakesALossOfZeroForALoss) {
  change_evaluation_ = [](LossSums& sums) { sums.weighted_loss = 0; };
  const Process whole = run();
  EXPECT_EQ(whole.state.best.epoch, 0);
  EXPECT_EQ(whole.ending.metrics.best_val_loss, 0.0);
}

TEST_F(ModelTrainerTest, SavesAfterEveryNthEpochInTheBackground) {
  options_.checkpoints = {.every_epochs = 2, .every = Duration(0), .overhead_budget = 1e9};
  each_call_takes_ = Duration(1);
  const Process whole = run();
  ASSERT_EQ(whole.sink.saved.size(), 3U);  // the initial one, after two epochs, after four
  EXPECT_TRUE(whole.sink.saved[1].in_background);
  EXPECT_EQ(whole.sink.saved[1].snapshot.position, (Position{.start_epoch = 2}));
}

// 600 batches of a minute each, with the policy that a training has by default.
TEST_F(ModelTrainerTest, SavesEveryFiveMinutesInsideAnEpochOfTenHours) {
  dataset_ = example_dataset(857);
  strategy_.training.batch_size = 1;
  strategy_.training.epochs = 1;
  options_.checkpoints = {};
  each_call_takes_ = std::chrono::minutes(1);
  const std::int64_t rows = dataset_.train.size();
  ASSERT_GE(rows, 590);
  const Process whole = run();
  ASSERT_TRUE(whole.completed());
  const auto in_the_epoch =
      std::count_if(whole.sink.saved.begin(), whole.sink.saved.end(), [&](const SavedCheckpoint& saved) {
        const Position& at = saved.snapshot.position;
        return saved.in_background && at.start_epoch == 0 && at.start_batch > 0 && at.start_batch < rows;
      });
  EXPECT_EQ(in_the_epoch, (rows - 1) / 5);
}

TEST_F(ModelTrainerTest, TellsHowLongTrainingStoodStillForACheckpoint) {
  save_after_every_epoch();
  EXPECT_EQ(run().observer.pauses.size(), 4U);
}

TEST_F(ModelTrainerTest, SavesLessOftenWhenWritingTakesProcessorTimeFromTraining) {
  options_.checkpoints = {.every_epochs = 1, .every = Duration(0), .overhead_budget = 0.01};
  strategy_.training.epochs = 25;
  each_call_takes_ = std::chrono::seconds(1);
  after_call_ = [](Process& now) {
    const auto periodic = static_cast<std::int64_t>(now.sink.saved.size()) - 1;
    now.sink.background_cost_so_far = std::chrono::seconds(periodic);
  };
  ASSERT_EQ(calls_per_epoch() * 25 / 100, 2) << "1 % of the time pays for two";
  EXPECT_EQ(run().sink.saved.size(), 3U) << "and there is the initial one";
  after_call_ = [](Process&) {};
  EXPECT_EQ(run().sink.saved.size(), 26U);
}

TEST_F(ModelTrainerTest, SkipsACheckpointWhileTheLastOneIsBeingSavedAndTakesItAfterwards) {
  options_.checkpoints = {.every_epochs = 1, .every = Duration(0), .overhead_budget = 1e9};
  prepare_sink_ = [](MemoryCheckpointSink& sink) { sink.background_is_slow = true; };
  std::int64_t calls = 0;
  after_call_ = [&](Process& now) {
    clock_.advance(Duration(1));
    if (++calls == 2 * calls_per_epoch() + 2) now.sink.finish_background();
  };
  const Process whole = run();
  ASSERT_EQ(whole.sink.saved.size(), 3U);
  EXPECT_EQ(whole.sink.saved[1].snapshot.position, (Position{.start_epoch = 1}));
  EXPECT_EQ(whole.sink.saved[2].snapshot.position, (Position{.start_epoch = 2, .start_batch = 2}));
}

TEST_F(ModelTrainerTest, WaitsForABackgroundSaveBeforeItSavesAStop) {
  options_.checkpoints = {.every_epochs = 1, .every = Duration(0), .overhead_budget = 1e9};
  prepare_sink_ = [](MemoryCheckpointSink& sink) { sink.background_is_slow = true; };
  const Process stopped = run(std::nullopt, calls_per_epoch() + 2);
  ASSERT_EQ(stopped.sink.saved.size(), 3U);
  EXPECT_EQ(stopped.last_saved().position, (Position{.start_epoch = 1, .start_batch = 2}));
}

TEST_F(ModelTrainerTest, CountsProgressFromTheBeginningOfTheRun) {
  each_call_takes_ = Duration(100);
  const Process stopped = run(std::nullopt, calls_per_epoch() + 3);
  const Process resumed = run(context_of(stopped));
  const auto& [phase, first] = resumed.observer.progress.front();
  EXPECT_EQ(phase, api::Phase::kRestoring);
  EXPECT_EQ(first.steps_completed, batches() + 3);
  EXPECT_EQ(first.steps_total, 4 * batches());
  EXPECT_EQ(first.items_processed, dataset_.train.size() + 48);
  double percentage = 0;
  for (const auto& [now, progress] : resumed.observer.progress) {
    EXPECT_GE(progress.percentage, percentage);
    percentage = progress.percentage;
  }
  EXPECT_EQ(percentage, 100);
}

TEST_F(ModelTrainerTest, ReportsAtMostTenTimesASecond) {
  const Process whole = run();  // the clock stands still
  EXPECT_LE(whole.observer.progress.size(), 3U);
  EXPECT_EQ(whole.observer.epochs.size(), 4U);
}

TEST_F(ModelTrainerTest, ReportsItsPhases) {
  each_call_takes_ = Duration(100);
  std::vector<api::Phase> phases;
  for (const auto& [phase, progress] : run().observer.progress) {
    if (phases.empty() || phases.back() != phase) phases.push_back(phase);
  }
  ASSERT_GE(phases.size(), 4U);
  EXPECT_EQ(phases[0], api::Phase::kSaving);
  EXPECT_EQ(phases[1], api::Phase::kTraining);
  EXPECT_EQ(phases[2], api::Phase::kValidating);
  EXPECT_EQ(phases.back(), api::Phase::kEvaluating);
}

TEST_F(ModelTrainerTest, RefusesACheckpointOfAnotherModelBeforeItTrains) {
  const Process stopped = run(std::nullopt, 3);
  auto context = context_of(stopped);
  context.model_weights.back().shape = {3, 5};
  const Process refused = run(std::move(context));
  EXPECT_THAT(*refused.outcome, FailsWith(ErrorCode::kCheckpointCorrupted));
  EXPECT_TRUE(refused.steps.empty());
}

TEST_F(ModelTrainerTest, BeginsTheEpochAgainWhenChangesAreAllowedAndThePositionNoLongerFits) {
  const Process stopped = run(std::nullopt, calls_per_epoch() + 3);
  dataset_ = example_dataset(240);
  options_.allow_changes = true;
  const Process resumed = run(context_of(stopped));
  ASSERT_TRUE(resumed.completed());
  EXPECT_EQ(resumed.steps.size(), 3U * static_cast<std::size_t>(batches()));
  EXPECT_EQ(resumed.state.history.size(), 4U);
}

TEST_F(ModelTrainerTest, TrainsOnWhenChangesAreAllowedAndThereAreMoreEpochsNow) {
  save_after_every_epoch();
  const Process whole = run();
  strategy_.training.epochs = 6;
  EXPECT_THAT(*run(context_of(whole)).outcome, FailsWith(ErrorCode::kConflict));
  options_.allow_changes = true;
  const Process longer = run(context_of(whole));
  ASSERT_TRUE(longer.completed());
  EXPECT_EQ(longer.state.history.size(), 6U);
}

TEST_F(ModelTrainerTest, GoesOnExactlyWhenChangesAreAllowedButThereAreNone) {
  const Process undisturbed = run();
  options_.allow_changes = true;
  EXPECT_TRUE(stopped_and_resumed(9).ending == undisturbed.ending);
}

TEST(StopSignalTest, KeepsTheStrongestRequest) {
  StopSignal stop;
  EXPECT_FALSE(stop.is_set());
  stop.request(StopRequest::kCancel);
  stop.request(StopRequest::kShutdown);
  EXPECT_EQ(stop.requested(), StopRequest::kCancel);
  stop.request(StopRequest::kAbandon);
  stop.request(StopRequest::kCancel);
  EXPECT_EQ(stop.requested(), StopRequest::kAbandon);
}

}  // namespace
}  // namespace ktrdr::training::testing
