#include "ktrdr/training/resume.h"

#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/checkpoints/testing/memory_checkpoint_store.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "training_bench.h"

namespace ktrdr::training::testing {
namespace {

using checkpoints::testing::MemoryCheckpointStore;

const OperationId kOperation{"op_training_1"};
constexpr CheckpointRef kRef{1, 3};

class RestoreTest : public TrainingBench {
 protected:
  checkpoints::CheckpointDescription description(const TrainingSnapshot& snapshot) const {
    return {.operation = kOperation,
            .ref = kRef,
            .epoch = snapshot.position.epoch(),
            .start_epoch = snapshot.position.start_epoch,
            .start_batch = snapshot.position.start_batch,
            .global_step = snapshot.global_step,
            .identity = {{"engine", "fake"}}};
  }

  void store(checkpoints::CheckpointStore& where, const TrainingSnapshot& snapshot,
             const checkpoints::CheckpointDescription& as) {
    auto files = snapshot_files(snapshot);
    ASSERT_THAT(files, IsOk());
    files->push_back(checkpoints::text_file(std::string(checkpoints::kStrategyFile), "name: example\n"));
    ASSERT_THAT(where.put({as, std::move(files).value()}), IsOk());
  }
  void store(checkpoints::CheckpointStore& where, const TrainingSnapshot& snapshot) {
    store(where, snapshot, description(snapshot));
  }

  // In the second epoch, after 3 batches.
  Process stopped_run() { return run(std::nullopt, batches() + 4 + 3); }
};

TEST_F(RestoreTest, GivesBackEverythingThatWasSaved) {
  MemoryCheckpointStore checkpoints;
  const Process stopped = stopped_run();
  store(checkpoints, stopped.last_saved());
  const auto context = restore_from_checkpoint(checkpoints, kOperation, kRef);
  ASSERT_THAT(context, IsOk());
  EXPECT_EQ(context->start_epoch, 1);
  EXPECT_EQ(context->start_batch, 3);
  EXPECT_EQ(to_tensor_map(context->model_weights), stopped.last_saved().model);
  EXPECT_EQ(to_tensor_map(context->optimizer_state), stopped.last_saved().optimizer);
  EXPECT_EQ(to_tensor_map(*context->best_model_weights), *stopped.last_saved().best_model);
  EXPECT_EQ(context->training_history(), stopped.state.history);
  EXPECT_EQ(context->best_val_loss(), stopped.state.best.validation_loss);
  EXPECT_EQ(context->identity.at("engine"), "fake");
  EXPECT_EQ(context->strategy_yaml, "name: example\n");
}

TEST_F(RestoreTest, GoesOnBitForBitFromFiles) {
  const ktrdr::testing::TemporaryFolder folder;
  auto checkpoints = checkpoints::FileCheckpointStore::open(folder.path());
  ASSERT_THAT(checkpoints, IsOk());
  store(*checkpoints, stopped_run().last_saved());
  auto context = restore_from_checkpoint(*checkpoints, kOperation, kRef);
  ASSERT_THAT(context, IsOk());
  EXPECT_TRUE(run(std::move(context).value()).ending == run().ending);
}

TEST_F(RestoreTest, HasNoBestModelBeforeTheFirstEpochIsComplete) {
  MemoryCheckpointStore checkpoints;
  store(checkpoints, run(std::nullopt, 2).last_saved());
  const auto context = restore_from_checkpoint(checkpoints, kOperation, kRef);
  ASSERT_THAT(context, IsOk());
  EXPECT_FALSE(context->best_model_weights.has_value());
  EXPECT_TRUE(std::isinf(context->best_val_loss()));
  EXPECT_TRUE(context->training_history().empty());
}

TEST_F(RestoreTest, SaysWhichOperationHasNoCheckpoint) {
  const MemoryCheckpointStore checkpoints;
  const auto context = restore_from_checkpoint(checkpoints, kOperation, kRef);
  EXPECT_THAT(context, FailsWith(ErrorCode::kCheckpointNotFound));
  EXPECT_THAT(context, SaysError(kOperation.value));
}

TEST_F(RestoreTest, NamesTheFileThatIsMissingOrEmptyOrDamaged) {
  const Process stopped = stopped_run();
  for (const auto file : {checkpoints::kModelFile, checkpoints::kOptimizerFile, checkpoints::kTrainerFile,
                          checkpoints::kBestModelFile}) {
    for (const auto& bytes :
         {std::optional<std::string>(), std::optional<std::string>(""), std::optional<std::string>("{}")}) {
      MemoryCheckpointStore checkpoints;
      store(checkpoints, stopped.last_saved());
      checkpoints.change_file(kOperation, kRef, std::string(file), bytes);
      const auto context = restore_from_checkpoint(checkpoints, kOperation, kRef);
      EXPECT_THAT(context, FailsWith(ErrorCode::kCheckpointCorrupted));
      EXPECT_THAT(context, SaysError(file));
    }
  }
}

TEST_F(RestoreTest, RefusesAManifestThatTellsAnotherPosition) {
  const Process stopped = stopped_run();
  auto wrong = description(stopped.last_saved());
  wrong.start_batch = 4;
  MemoryCheckpointStore checkpoints;
  store(checkpoints, stopped.last_saved(), wrong);
  EXPECT_THAT(restore_from_checkpoint(checkpoints, kOperation, kRef),
              FailsWith(ErrorCode::kCheckpointCorrupted));
}

TEST_F(RestoreTest, RefusesABestEpochWithoutItsModelAndAModelWithoutAnEpoch) {
  TrainingSnapshot snapshot = stopped_run().last_saved();
  snapshot.best_model = nullptr;
  EXPECT_THAT(resume_context(snapshot), FailsWith(ErrorCode::kCheckpointCorrupted));
  snapshot = run(std::nullopt, 2).last_saved();
  snapshot.best_model = std::make_shared<const checkpoints::TensorMap>(snapshot.model);
  EXPECT_THAT(resume_context(snapshot), FailsWith(ErrorCode::kCheckpointCorrupted));
}

TEST_F(RestoreTest, RefusesABestModelOfAnotherShape) {
  TrainingSnapshot snapshot = stopped_run().last_saved();
  checkpoints::TensorMap best = *snapshot.best_model;
  best.add("0.bias", checkpoints::DType::kF32, std::vector<std::int64_t>{4});
  snapshot.best_model = std::make_shared<const checkpoints::TensorMap>(std::move(best));
  EXPECT_THAT(resume_context(snapshot), SaysError("0.bias"));
}

TEST(CheckSameExperiment, AcceptsAnEqualIdentity) {
  EXPECT_THAT(check_same_experiment({{"engine", "a"}}, {{"engine", "a"}}, false), IsOk());
}

TEST(CheckSameExperiment, NamesEveryDifferenceAndTheWayOut) {
  const auto refused =
      check_same_experiment({{"blas", "Haswell"}, {"seed", "1"}, {"threads", "1"}},
                            {{"blas", "Zen"}, {"dispatch", "avx2"}, {"threads", "1"}}, false);
  EXPECT_THAT(refused, FailsWith(ErrorCode::kConflict));
  EXPECT_THAT(refused, SaysError("blas was 'Haswell' and is 'Zen'"));
  EXPECT_THAT(refused, SaysError("dispatch was not recorded and is 'avx2'"));
  EXPECT_THAT(refused, SaysError("seed was '1' and is not recorded"));
  EXPECT_THAT(refused, SaysError("--allow-changes"));
  EXPECT_THAT(refused, ::testing::Not(SaysError("threads")));
}

TEST(CheckSameExperiment, GoesOnAllTheSameWhenToldTo) {
  EXPECT_THAT(check_same_experiment({{"engine", "a"}}, {{"engine", "b"}}, true), IsOk());
}

}  // namespace
}  // namespace ktrdr::training::testing
