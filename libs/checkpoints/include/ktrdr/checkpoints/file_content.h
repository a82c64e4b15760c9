// What a store is asked to write: a file's name and its bytes, in pieces, so that tensors go to disk from
// where they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/checkpoints/tensor_map.h"
#include "ktrdr/core/result.h"

namespace ktrdr::checkpoints {

// 1 to 64 characters out of a-z, 0-9, _ and dots between them: safe in every path and object key.
bool is_file_name(std::string_view text);

// `head` is owned; the spans of `body` are borrowed and must not change until the store has answered.
struct FileContent {
  std::string name;
  std::string head;
  std::vector<std::span<const std::byte>> body;

  std::vector<std::span<const std::byte>> pieces() const;  // head, then body
  std::uint64_t size() const;
};

FileContent text_file(std::string name, std::string text);

// A safetensors file that borrows the map's memory. kTooLarge when its header would pass 1 MiB.
Result<FileContent> tensor_file(std::string name, const TensorMap& tensors);
Result<FileContent> tensor_file(std::string name, TensorMap&& tensors) = delete;  // it would dangle

}  // namespace ktrdr::checkpoints
