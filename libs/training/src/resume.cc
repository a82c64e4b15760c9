#include "ktrdr/training/resume.h"

#include <set>

#include "ktrdr/training/tensor_layout.h"

namespace ktrdr::training {
namespace {

using checkpoints::TensorMap;
using checkpoints::VerifiedCheckpoint;

Result<void> check_best_model(const TrainingResumeContext& context) {
  if (context.best_model_weights.has_value() != context.trainer_state.best.exists()) {
    return CheckpointCorruptedError(context.best_model_weights
                                        ? "best_model.safetensors is there, but no epoch was best"
                                        : "best_model.safetensors is missing, but an epoch was best");
  }
  if (!context.best_model_weights) return {};
  return check_same_layout(context.model_weights, *context.best_model_weights);
}

Result<void> check_manifest(const checkpoints::Manifest& manifest, const TrainerState& state) {
  if (manifest.epoch == state.position.epoch() && manifest.start_epoch == state.position.start_epoch &&
      manifest.start_batch == state.position.start_batch && manifest.global_step == state.global_step) {
    return {};
  }
  return CheckpointCorruptedError("manifest.json and trainer.safetensors tell different positions");
}

Result<TrainingResumeContext> finish(TrainingResumeContext context, const TensorMap& trainer) {
  TRY_ASSIGN(context.trainer_state, read_trainer_state(trainer));
  context.start_epoch = context.trainer_state.position.start_epoch;
  context.start_batch = context.trainer_state.position.start_batch;
  TRY(check_best_model(context));
  return context;
}

Result<TrainingResumeContext> to_context(VerifiedCheckpoint loaded) {
  const auto owner = std::make_shared<const VerifiedCheckpoint>(std::move(loaded));
  const VerifiedCheckpoint& checkpoint = *owner;
  TrainingResumeContext context;
  context.tensors_owner = owner;
  context.model_weights = checkpoint.model().tensors;
  context.optimizer_state = checkpoint.optimizer().tensors;
  if (const auto* best = checkpoint.best_model()) context.best_model_weights = best->tensors;
  context.identity = checkpoint.manifest().identity;
  context.strategy_yaml = std::string(checkpoint.text(checkpoints::kStrategyFile));
  TRY_ASSIGN(context, finish(std::move(context), to_tensor_map(checkpoint.trainer())));
  TRY(check_manifest(checkpoint.manifest(), context.trainer_state));
  return context;
}

std::string value_in(const std::map<std::string, std::string>& identity, const std::string& key) {
  const auto found = identity.find(key);
  return found == identity.end() ? "not recorded" : "'" + found->second + "'";
}

}  // namespace

Result<TrainingResumeContext> restore_from_checkpoint(const checkpoints::CheckpointStore& store,
                                                      const OperationId& operation, CheckpointRef ref) {
  auto loaded = store.load(operation, ref);
  if (!loaded.ok()) {
    if (loaded.error().code == ErrorCode::kCheckpointNotFound) return CheckpointNotFoundError(operation);
    return std::move(loaded).error().while_doing("restoring checkpoint " + ref.to_string());
  }
  auto context = to_context(*std::move(loaded));
  if (!context.ok()) return std::move(context).error().while_doing("restoring checkpoint " + ref.to_string());
  return context;
}

Result<TrainingResumeContext> resume_context(const TrainingSnapshot& snapshot) {
  const auto copy = std::make_shared<const TrainingSnapshot>(snapshot);
  TrainingResumeContext context;
  context.tensors_owner = copy;
  context.model_weights = copy->model.views();
  context.optimizer_state = copy->optimizer.views();
  if (copy->best_model != nullptr) context.best_model_weights = copy->best_model->views();
  return finish(std::move(context), copy->trainer);
}

Error CheckpointNotFoundError(const OperationId& operation) {
  return {ErrorCode::kCheckpointNotFound, "The operation '" + operation.value +
                                              "' has no checkpoint to resume from; start it again instead."};
}

Error CheckpointCorruptedError(std::string_view what) {
  return {ErrorCode::kCheckpointCorrupted, "The checkpoint is damaged: " + std::string(what) + "."};
}

Result<void> check_same_experiment(const std::map<std::string, std::string>& recorded,
                                   const std::map<std::string, std::string>& current, bool allow_changes) {
  if (allow_changes || recorded == current) return {};
  std::set<std::string> keys;
  for (const auto& [key, value] : recorded) keys.insert(key);
  for (const auto& [key, value] : current) keys.insert(key);
  std::string differences;
  for (const std::string& key : keys) {
    const std::string before = value_in(recorded, key), now = value_in(current, key);
    if (before == now) continue;
    differences += (differences.empty() ? "" : "; ") + key + " was " + before + " and is " + now;
  }
  return Error(ErrorCode::kConflict, "This would no longer be the same experiment: " + differences +
                                         ". Restore what it was, or go on all the same with "
                                         "'ktrdr resume ID --allow-changes'.");
}

}  // namespace ktrdr::training
