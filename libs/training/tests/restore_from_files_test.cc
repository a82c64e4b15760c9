// restore_from_checkpoint() on real files: what the Python project's tests of it ask for, each against a
// FileCheckpointStore in a folder.
#include <filesystem>
#include <fstream>

#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/training/resume.h"
#include "training_bench.h"

namespace ktrdr::training::testing {
namespace {

const OperationId kOperation{"op_training_1"};
constexpr CheckpointRef kRef{1, 3};

class RestoreFromFiles : public TrainingBench {
 protected:
  RestoreFromFiles() {
    strategy_.training.epochs = 12;
    strategy_.training.schedule.type = strategy::ScheduleType::kReduceOnPlateau;
  }

  void put(const TrainingSnapshot& snapshot) {
    auto files = snapshot_files(snapshot);
    ASSERT_THAT(files, IsOk());
    ASSERT_THAT(store_->put({{.operation = kOperation,
                              .ref = kRef,
                              .epoch = snapshot.position.epoch(),
                              .start_epoch = snapshot.position.start_epoch,
                              .start_batch = snapshot.position.start_batch,
                              .global_step = snapshot.global_step},
                             std::move(files).value()}),
                IsOk());
  }
  Result<TrainingResumeContext> restore() { return restore_from_checkpoint(*store_, kOperation, kRef); }

  // A periodic checkpoint at the end of each so many epochs.
  void save_every(std::int64_t epochs) {
    options_.checkpoints = {.every_epochs = epochs, .every = Duration(0), .overhead_budget = 1e9};
    each_call_takes_ = Duration(1);
  }

  // The engine's calls until `epochs` are complete: batches, and the validation in chunks.
  std::int64_t calls_of(std::int64_t epochs) {
    const std::int64_t chunks = (dataset_.validation.size() + 4) / 5;
    return epochs * (batches() + chunks);
  }

  std::filesystem::path file(std::string_view name) const {
    return folder_ / kOperation.value / kRef.to_string() / name;
  }

  const ktrdr::testing::TemporaryFolder folder_;
  std::optional<checkpoints::FileCheckpointStore> store_ =
      checkpoints::FileCheckpointStore::open(folder_.path()).value();
};

TEST_F(RestoreFromFiles, AfterEpoch9ItGoesOnWithEpoch10) {
  save_every(10);
  put(run().last_saved());
  const auto context = restore();
  ASSERT_THAT(context, IsOk());
  EXPECT_EQ(context->start_epoch, 10);
  EXPECT_EQ(context->start_batch, 0);
}

TEST_F(RestoreFromFiles, GivesBackWeightsOptimizerScheduleBestModelAndHistory) {
  const Process stopped = run(std::nullopt, calls_of(5) + 2);
  put(stopped.last_saved());
  const auto context = restore();
  ASSERT_THAT(context, IsOk());
  EXPECT_EQ(context->start_epoch, 5);
  EXPECT_EQ(context->start_batch, 2);
  EXPECT_FALSE(context->model_weights.empty());
  EXPECT_EQ(to_tensor_map(context->model_weights), stopped.last_saved().model);
  EXPECT_FALSE(context->optimizer_state.empty());
  EXPECT_EQ(to_tensor_map(context->optimizer_state), stopped.last_saved().optimizer);
  EXPECT_EQ(to_tensor_map(*context->best_model_weights), *stopped.last_saved().best_model);
  checkpoints::TensorMap restored, saved;
  write_trainer_state(context->trainer_state, restored);
  write_trainer_state(stopped.state, saved);
  EXPECT_EQ(restored, saved) << "with the schedule, to the last bit";
  EXPECT_EQ(context->trainer_state.schedule, stopped.state.schedule);
  EXPECT_EQ(context->training_history().size(), 5U);
  EXPECT_EQ(context->training_history(), stopped.state.history);
  EXPECT_EQ(context->best_val_loss(), stopped.state.best.validation_loss);
}

TEST_F(RestoreFromFiles, BeforeTheFirstEpochThereIsNoBestModelAndNoHistory) {
  put(run(std::nullopt, 2).last_saved());
  EXPECT_FALSE(std::filesystem::exists(file(checkpoints::kBestModelFile)));
  const auto context = restore();
  ASSERT_THAT(context, IsOk());
  EXPECT_EQ(context->start_epoch, 0);
  EXPECT_FALSE(context->best_model_weights.has_value());
  EXPECT_TRUE(std::isinf(context->best_val_loss()));
  EXPECT_TRUE(context->training_history().empty());
}

TEST_F(RestoreFromFiles, NothingThereNamesTheOperation) {
  EXPECT_THAT(restore(), FailsWith(ErrorCode::kCheckpointNotFound));
  EXPECT_THAT(restore(), SaysError(kOperation.value));
}

TEST_F(RestoreFromFiles, AFileThatIsGoneOrEmptyIsNamed) {
  const Process stopped = run(std::nullopt, calls_of(1));
  for (const auto name : {checkpoints::kModelFile, checkpoints::kOptimizerFile, checkpoints::kTrainerFile}) {
    for (const bool is_gone : {true, false}) {
      ASSERT_THAT(store_->remove_operation(kOperation), IsOk());
      put(stopped.last_saved());
      std::filesystem::remove(file(name));
      if (!is_gone) std::ofstream(file(name)).flush();
      EXPECT_THAT(restore(), FailsWith(ErrorCode::kCheckpointCorrupted));
      EXPECT_THAT(restore(), SaysError(name));
    }
  }
}

TEST_F(RestoreFromFiles, WhatWasRestoredPredictsAsBefore) {
  const Process stopped = run(std::nullopt, calls_of(3));
  put(stopped.last_saved());
  const auto predictions = [&](std::span<const checkpoints::TensorView> model) {
    auto engine = FakeEngineFactory().create(strategy_, dataset_, options_.seed);
    EXPECT_THAT((*engine)->restore_model(model), IsOk());
    std::vector<std::int64_t> predicted;
    EXPECT_THAT((*engine)->evaluate(dataset_.test, &predicted), IsOk());
    return predicted;
  };
  const auto context = restore();
  ASSERT_THAT(context, IsOk());
  const auto after = predictions(context->model_weights);
  EXPECT_EQ(after.size(), static_cast<std::size_t>(dataset_.test.size()));
  EXPECT_EQ(after, predictions(stopped.last_saved().model.views()));
}

TEST_F(RestoreFromFiles, RunsExactlyTheEpochsThatAreLeftAndEndsInTheSameBits) {
  save_every(9);
  put(run().last_saved());
  auto context = restore();
  ASSERT_THAT(context, IsOk());
  const Process resumed = run(std::move(context).value());
  EXPECT_EQ(resumed.steps.size(), static_cast<std::size_t>(3 * batches())) << "epochs 9, 10 and 11";
  EXPECT_EQ(resumed.steps.front().global_step, 9 * batches());
  const Process undisturbed = run();
  EXPECT_EQ(resumed.ending.metrics.history.size(), 12U) << "every epoch once";
  EXPECT_TRUE(resumed.ending == undisturbed.ending);
}

TEST_F(RestoreFromFiles, FromTheEndItRunsNoEpochAtAll) {
  save_every(12);
  const Process whole = run();
  put(whole.last_saved());
  auto context = restore();
  ASSERT_THAT(context, IsOk());
  EXPECT_EQ(context->start_epoch, 12);
  const Process resumed = run(std::move(context).value());
  EXPECT_TRUE(resumed.steps.empty());
  EXPECT_TRUE(resumed.ending == whole.ending);
}

}  // namespace
}  // namespace ktrdr::training::testing
