#include "ktrdr/checkpoints/file_content.h"

#include <algorithm>

#include "ktrdr/checkpoints/safetensors.h"

namespace ktrdr::checkpoints {

bool is_file_name(std::string_view text) {
  const auto is_character = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  };
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), is_character) &&
         text.front() != '.' && text.back() != '.' && text.find("..") == std::string_view::npos;
}

std::vector<std::span<const std::byte>> FileContent::pieces() const {
  std::vector<std::span<const std::byte>> pieces = {std::as_bytes(std::span(head))};
  pieces.insert(pieces.end(), body.begin(), body.end());
  std::erase_if(pieces, [](const auto& piece) { return piece.empty(); });
  return pieces;
}

std::uint64_t FileContent::size() const {
  std::uint64_t size = head.size();
  for (const auto& piece : body) size += piece.size();
  return size;
}

FileContent text_file(std::string name, std::string text) { return {std::move(name), std::move(text), {}}; }

Result<FileContent> tensor_file(std::string name, const TensorMap& tensors) {
  const std::vector<TensorView> ordered = in_file_order(tensors);
  TRY_ASSIGN(std::string header, safetensors_header(ordered));
  FileContent file{std::move(name), std::move(header), {}};
  for (const TensorView& tensor : ordered) file.body.push_back(tensor.bytes);
  return file;
}

}  // namespace ktrdr::checkpoints
