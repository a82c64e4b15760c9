// Comparing tensors before taking them: what every engine's restore begins with.
#pragma once

#include <span>

#include "ktrdr/checkpoints/tensor_map.h"
#include "ktrdr/core/result.h"

namespace ktrdr::training {

// kCheckpointCorrupted names the first tensor that `given` lacks, has too many, or has with another type or
// shape. `given` is in the order of the names.
Result<void> check_same_layout(std::span<const checkpoints::TensorView> expected,
                               std::span<const checkpoints::TensorView> given);

}  // namespace ktrdr::training
