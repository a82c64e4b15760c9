// A training at one batch boundary, in memory of its own. The trainer keeps one and fills it again and again,
// so that taking it is a copy into warm memory: the only moment at which training waits for a checkpoint.
#pragma once

#include <memory>
#include <vector>

#include "ktrdr/checkpoints/file_content.h"
#include "ktrdr/checkpoints/tensor_map.h"
#include "ktrdr/core/result.h"
#include "ktrdr/training/engine.h"
#include "ktrdr/training/trainer_state.h"

namespace ktrdr::training {

struct TrainingSnapshot {
  checkpoints::TensorMap model, optimizer, trainer;
  // Null when no epoch was best yet. A copy, never an alias of what is trained; who shares it changes it no
  // more.
  std::shared_ptr<const checkpoints::TensorMap> best_model;
  Position position;
  std::int64_t global_step = 0;
};

void take_snapshot(const Engine& engine, const TrainerState& state,
                   std::shared_ptr<const checkpoints::TensorMap> best_model, TrainingSnapshot& into);

// The files of a checkpoint, which borrow the snapshot's memory: it must not change until they are written.
Result<std::vector<checkpoints::FileContent>> snapshot_files(const TrainingSnapshot& snapshot);

}  // namespace ktrdr::training
