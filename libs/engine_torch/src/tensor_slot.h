// Named memory of a live model or optimizer, as a checkpoint sees it: copying out and in needs no tensor
// library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ktrdr/checkpoints/tensor_map.h"
#include "ktrdr/core/result.h"

namespace ktrdr::engine_torch {

struct TensorSlot {
  std::string name;
  checkpoints::DType dtype = checkpoints::DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<std::byte> bytes;  // lent by the engine, for as long as it lives
};

void copy_out(const std::vector<TensorSlot>& slots, checkpoints::TensorMap& into);

// `from` is in the order of the names. All or nothing: kCheckpointCorrupted names the first tensor that does
// not fit, before anything was copied.
Result<void> copy_in(std::span<const checkpoints::TensorView> from, const std::vector<TensorSlot>& slots);

}  // namespace ktrdr::engine_torch
