// Early stopping: a plain value, judged once per epoch after validation.
//
// The score is the validation accuracy, or minus the validation loss. An epoch improves when its score is at
// least best + minimum_delta (so 0 lets an equal score count); `patience` epochs in a row that don't stop the
// training. A score that is not finite never improves, counts as a miss and leaves the best score alone. A
// loss of exactly 0 is a loss like any other.
#pragma once

#include <cstdint>
#include <limits>

#include "ktrdr/strategy/strategy.h"

namespace ktrdr::training {

struct EarlyStoppingState {
  double best_score = -std::numeric_limits<double>::infinity();
  std::int64_t misses = 0;  // in a row
  bool operator==(const EarlyStoppingState&) const = default;
};

// Judges one epoch; true when the training must stop after it.
bool judge_epoch(const strategy::EarlyStopping& rule, double validation_loss, double validation_accuracy,
                 EarlyStoppingState& state);

}  // namespace ktrdr::training
