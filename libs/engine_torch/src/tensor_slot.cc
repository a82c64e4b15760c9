#include "tensor_slot.h"

#include "ktrdr/checkpoints/tensor_copy.h"
#include "ktrdr/training/tensor_layout.h"

namespace ktrdr::engine_torch {

void copy_out(const std::vector<TensorSlot>& slots, checkpoints::TensorMap& into) {
  for (const TensorSlot& slot : slots) into.put(slot.name, slot.dtype, slot.shape, slot.bytes);
}

Result<void> copy_in(std::span<const checkpoints::TensorView> from, const std::vector<TensorSlot>& slots) {
  std::vector<checkpoints::TensorView> expected;
  for (const TensorSlot& slot : slots) expected.push_back({slot.name, slot.dtype, slot.shape, slot.bytes});
  TRY(training::check_same_layout(expected, from));
  std::vector<checkpoints::TensorCopy> copies;
  for (const TensorSlot& slot : slots)
    copies.push_back({checkpoints::find_tensor(from, slot.name)->bytes, slot.bytes});
  checkpoints::copy_in_parallel(copies);
  return {};
}

}  // namespace ktrdr::engine_torch
