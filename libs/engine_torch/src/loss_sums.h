// What a trainer wants to know of a batch, added up in double and in the order of the rows, so that the sums
// do not depend on how a tensor library splits a reduction.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ktrdr/training/engine.h"

namespace ktrdr::engine_torch {

// `logits` and `log_probabilities` are row-major, labels.size() rows of class_weights.size() columns. The
// predicted class of each row is appended to `predictions` where that is not null.
training::LossSums sum_up(std::span<const float> logits, std::span<const float> log_probabilities,
                          std::span<const std::int64_t> labels, std::span<const float> class_weights,
                          std::vector<std::int64_t>* predictions);

}  // namespace ktrdr::engine_torch
