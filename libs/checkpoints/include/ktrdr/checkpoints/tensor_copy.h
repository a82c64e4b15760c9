// Copying tensors as fast as memory is: past the caches, which hold nothing of a tensor that is larger than
// they are, and when it is worth it by two threads. Bits are bits: how they were copied can't be seen in
// them.
#pragma once

#include <cstddef>
#include <span>

namespace ktrdr::checkpoints {

struct TensorCopy {
  std::span<const std::byte> from;
  std::span<std::byte> to;  // as long as `from`
};

// On the calling thread alone: a training must not be held up by a processor that has other things to do.
void copy_bytes(const TensorCopy& copy);

// All of them, with a helper from 16 MB on. The spans must not overlap.
void copy_in_parallel(std::span<const TensorCopy> copies);

}  // namespace ktrdr::checkpoints
