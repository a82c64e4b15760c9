#include "tensor_slot.h"

#include <cstring>

#include "ktrdr/training/tensor_layout.h"

namespace ktrdr::engine_torch {

void copy_out(const std::vector<TensorSlot>& slots, checkpoints::TensorMap& into) {
  for (const TensorSlot& slot : slots) into.put(slot.name, slot.dtype, slot.shape, slot.bytes);
}

Result<void> copy_in(const checkpoints::TensorMap& from, const std::vector<TensorSlot>& slots) {
  checkpoints::TensorMap expected;
  copy_out(slots, expected);
  TRY(training::check_same_layout(expected, from));
  for (const TensorSlot& slot : slots) {
    std::memcpy(slot.bytes.data(), from.find(slot.name)->bytes.data(), slot.bytes.size());
  }
  return {};
}

}  // namespace ktrdr::engine_torch
