// Everything of a run that lives outside the engine. With the engine's tensors and the best model it is the
// whole run: two runs with equal bits here and there end in equal bits.
//
// It is stored as the tensors of trainer.safetensors: raw F64, F32 and I64 values, never text, because a
// number that was printed and read again need not be the same number.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "ktrdr/api/operation.h"
#include "ktrdr/checkpoints/tensor_map.h"
#include "ktrdr/core/result.h"
#include "ktrdr/strategy/dataset.h"
#include "ktrdr/training/early_stopping.h"
#include "ktrdr/training/engine.h"
#include "ktrdr/training/schedule.h"

namespace ktrdr::training {

// A place in a run, always between two batches.
struct Position {
  std::int64_t start_epoch = 0;     // the epoch in progress, 0-based
  std::int64_t start_batch = 0;     // its next batch
  bool validation_pending = false;  // all its batches are done; the whole end of the epoch is still to do
  bool finished = false;  // training is over, only the evaluation is left; start_epoch = epochs trained

  std::int64_t epoch() const { return start_epoch - 1; }  // the last *completed* epoch; -1: none
  bool operator==(const Position&) const = default;
};

// The best epoch so far: the lowest validation loss, by a strict <, so the first of equals; NaN is never
// best.
struct BestEpoch {
  std::int64_t epoch = -1;  // none
  double validation_loss = std::numeric_limits<double>::infinity();
  double validation_accuracy = 0;

  bool exists() const { return epoch >= 0; }
  bool operator==(const BestEpoch&) const = default;
};

// How one raw column was scaled; its name follows from the strategy.
struct NormalizationConstants {
  std::int64_t column = 0, method = 0;
  double offset = 0, scale = 1;
  bool operator==(const NormalizationConstants&) const = default;
};

struct TrainerState {
  std::int64_t seed = 0;
  Position position;
  std::int64_t global_step = 0;  // optimizer steps since the beginning of the run
  bool stopped_early = false;
  LossSums running;  // of the unfinished epoch's batches
  BestEpoch best;
  ScheduleState schedule;  // with the learning rate
  EarlyStoppingState early_stopping;
  std::vector<api::EpochMetrics> history;  // one row per completed epoch; values may be NaN
  std::vector<float> class_weights;
  std::vector<NormalizationConstants> normalization;
};

// The start of a fresh run.
TrainerState initial_state(const strategy::Training& training, const strategy::Dataset& dataset,
                           std::int64_t seed);

std::vector<NormalizationConstants> normalization_constants(const strategy::Dataset& dataset);

// Fills `into`, reusing its memory.
void write_trainer_state(const TrainerState& state, checkpoints::TensorMap& into);

// Strict: kCheckpointCorrupted names the first tensor that is missing, unknown, of another type or size, or
// holds a value that no trainer writes.
Result<TrainerState> read_trainer_state(const checkpoints::TensorMap& from);

}  // namespace ktrdr::training
