// Comparing tensors before taking them: what every engine's restore begins with.
#pragma once

#include "ktrdr/checkpoints/tensor_map.h"
#include "ktrdr/core/result.h"

namespace ktrdr::training {

// kCheckpointCorrupted names the first tensor that `given` lacks, has too many, or has with another type or
// shape.
Result<void> check_same_layout(const checkpoints::TensorMap& expected, const checkpoints::TensorMap& given);

}  // namespace ktrdr::training
