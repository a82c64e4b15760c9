// A training at one batch boundary, in memory of its own. The trainer keeps one and fills it again and again,
// so that taking it is a copy into warm memory: the only moment at which training waits for a checkpoint.
#pragma once

#include <optional>
#include <vector>

#include "ktrdr/checkpoints/file_content.h"
#include "ktrdr/checkpoints/tensor_map.h"
#include "ktrdr/core/result.h"
#include "ktrdr/training/engine.h"
#include "ktrdr/training/trainer_state.h"

namespace ktrdr::training {

struct TrainingSnapshot {
  checkpoints::TensorMap model, optimizer, trainer;
  bool has_best = false;
  checkpoints::TensorMap best_model;  // a copy, never an alias; meaningless without has_best
  Position position;
  std::int64_t global_step = 0;
};

// `best_model` may be null: no epoch was best yet.
void take_snapshot(const Engine& engine, const TrainerState& state, const checkpoints::TensorMap* best_model,
                   TrainingSnapshot& into);

// The files of a checkpoint, which borrow the snapshot's memory: it must not change until they are written.
Result<std::vector<checkpoints::FileContent>> snapshot_files(const TrainingSnapshot& snapshot);

}  // namespace ktrdr::training
