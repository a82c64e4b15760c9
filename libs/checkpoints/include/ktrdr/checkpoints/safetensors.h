// The safetensors format (https://github.com/huggingface/safetensors): 8 bytes with the header's length,
// little-endian; a JSON header `{"name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},…}`; then the
// tensors' bytes.
//
// Ours is deterministic and laid out as the reference implementation does it: tensors by descending item size
// (I64, F64, F32, U8), then by name, without gaps, the header padded with spaces to 8 bytes, so that every
// tensor is aligned in a mapped file. Nothing but the tensors goes in: no id, no attempt, no time.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/checkpoints/tensor_map.h"
#include "ktrdr/core/result.h"

namespace ktrdr::checkpoints {

inline constexpr std::size_t kLargestSafetensorsHeader = std::size_t{1} << 20;  // bytes

// The tensors of `map` in the order in which their bytes lie in a file.
std::vector<TensorView> in_file_order(const TensorMap& map);

// Everything before the tensors' bytes. kTooLarge when the header would pass 1 MiB.
Result<std::string> safetensors_header(std::span<const TensorView> in_file_order);

// The views into the bytes of one file; whoever lent those bytes keeps them.
struct SafetensorsFile {
  std::vector<TensorView> tensors;  // in the order of the names
  const TensorView* find(std::string_view name) const { return find_tensor(tensors, name); }
};

// Reads a file strictly, before anything is built from it: header of at most 1 MiB, no unknown dtype, no
// duplicate key, no overlap, no hole, no trailing bytes, no overflow. Allocates in proportion to the header
// only. kCheckpointCorrupted says what is wrong.
Result<SafetensorsFile> parse_safetensors(std::span<const std::byte> bytes);

// kCheckpointCorrupted, naming the first tensor that is missing, surplus or of another dtype or shape.
Result<void> check_layout(const SafetensorsFile& file, const TensorMap& expected);

// The one copy of a restore: checks the layout of the whole file, then copies all values into `target`'s
// memory. On an error `target` is unchanged.
Result<void> restore_into(const SafetensorsFile& file, TensorMap& target);

TensorMap to_tensor_map(std::span<const TensorView> tensors);
inline TensorMap to_tensor_map(const SafetensorsFile& file) { return to_tensor_map(file.tensors); }

}  // namespace ktrdr::checkpoints
