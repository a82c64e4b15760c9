#include "ktrdr/training/snapshot.h"

#include "ktrdr/checkpoints/artifacts.h"

namespace ktrdr::training {

void take_snapshot(const Engine& engine, const TrainerState& state,
                   std::shared_ptr<const checkpoints::TensorMap> best_model, TrainingSnapshot& into) {
  engine.snapshot_model(into.model);
  engine.snapshot_optimizer(into.optimizer);
  write_trainer_state(state, into.trainer);
  into.best_model = std::move(best_model);
  into.position = state.position;
  into.global_step = state.global_step;
}

Result<std::vector<checkpoints::FileContent>> snapshot_files(const TrainingSnapshot& snapshot) {
  using checkpoints::tensor_file;
  std::vector<checkpoints::FileContent> files;
  const auto add = [&files](std::string_view name, const checkpoints::TensorMap& tensors) -> Result<void> {
    TRY_ASSIGN(checkpoints::FileContent file, tensor_file(std::string(name), tensors));
    files.push_back(std::move(file));
    return {};
  };
  TRY(add(checkpoints::kModelFile, snapshot.model));
  TRY(add(checkpoints::kOptimizerFile, snapshot.optimizer));
  TRY(add(checkpoints::kTrainerFile, snapshot.trainer));
  if (snapshot.best_model != nullptr) TRY(add(checkpoints::kBestModelFile, *snapshot.best_model));
  return files;
}

}  // namespace ktrdr::training
