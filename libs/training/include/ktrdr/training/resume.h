// From a stored checkpoint back to a running training: what is loaded, and whether it may be gone on with.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/checkpoints/checkpoint_store.h"
#include "ktrdr/checkpoints/tensor_map.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/core/result.h"
#include "ktrdr/training/snapshot.h"
#include "ktrdr/training/trainer_state.h"

namespace ktrdr::training {

// Everything a trainer needs to go on at exactly the batch boundary of a checkpoint. Given to ModelTrainer,
// which copies the tensors to where they belong and then lets go of the memory they were in.
//
// The seed's other fields have moved: scheduler_state is in trainer_state.schedule (and never optional), and
// original_request is the operation's row (api::TrainingJob::request); the checkpoint holds what must be
// compared with it, the identity.
struct TrainingResumeContext {
  std::int64_t start_epoch = 0;  // the epoch to go on with: the last completed one + 1 ...
  std::int64_t start_batch = 0;  // ... and the next batch in it
  // Verified, each in the order of the names, and in the memory of `tensors_owner`: the mapped files.
  std::vector<checkpoints::TensorView> model_weights, optimizer_state;
  std::optional<std::vector<checkpoints::TensorView>> best_model_weights;
  std::shared_ptr<const void> tensors_owner;
  TrainerState trainer_state;
  std::map<std::string, std::string> identity;  // of the run that wrote it, see check_same_experiment()
  std::string strategy_yaml;                    // "" when the checkpoint has no copy

  const std::vector<api::EpochMetrics>& training_history() const { return trainer_state.history; }
  double best_val_loss() const { return trainer_state.best.validation_loss; }  // +infinity: none yet
};

// Loads and verifies a checkpoint: every byte, then every value of the trainer's state, and that manifest and
// state tell the same position. kCheckpointNotFound, kCheckpointCorrupted (naming the file and what is
// wrong), kIo.
Result<TrainingResumeContext> restore_from_checkpoint(const checkpoints::CheckpointStore& store,
                                                      const OperationId& operation, CheckpointRef ref);

// The same from a snapshot in memory; copies its tensors.
Result<TrainingResumeContext> resume_context(const TrainingSnapshot& snapshot);

// The two errors of a restore under the seed's names; they make Errors with the codes kCheckpointNotFound and
// kCheckpointCorrupted.
Error CheckpointNotFoundError(const OperationId& operation);
Error CheckpointCorruptedError(std::string_view what);

// Refuses (kConflict) to go on with another experiment: names every entry that differs between the identity
// in the checkpoint and the current one, with both values, and the option that overrides it. `allow_changes`
// is that option.
Result<void> check_same_experiment(const std::map<std::string, std::string>& recorded,
                                   const std::map<std::string, std::string>& current, bool allow_changes);

}  // namespace ktrdr::training
