// Any bytes as a safetensors file: refused as damaged, or every tensor lies inside the file and survives
// being written again. The header's length comes from the fuzzer too, and once more with the right one.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "ktrdr/checkpoints/file_content.h"
#include "ktrdr/checkpoints/safetensors.h"
#include "ktrdr/core/check.h"

namespace ktrdr::checkpoints {
namespace {

std::string joined(const FileContent& file) {
  std::string bytes;
  for (const auto piece : file.pieces())
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  return bytes;
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

void read(const std::string& text) {
  const auto file = parse_safetensors(bytes_of(text));
  if (!file.ok()) {
    CHECK(file.error().code == ErrorCode::kCheckpointCorrupted, "a file that can't be read is damaged");
    return;
  }
  std::size_t total = 0;
  for (const TensorView& tensor : file->tensors) total += tensor.bytes.size();
  CHECK(total <= text.size(), "no byte belongs to two tensors");
  const TensorMap tensors = to_tensor_map(*file);
  TensorMap restored = tensors;
  CHECK(restore_into(*file, restored).ok() && restored == tensors, "a file fits its own layout");
  const auto content = tensor_file("model.safetensors", tensors);
  CHECK(content.ok(), "what we read we can write");
  const std::string written = joined(*content);
  const auto again = parse_safetensors(bytes_of(written));
  CHECK(again.ok() && to_tensor_map(*again) == tensors, "tensors survive the disk");
}

// The text up to its last brace is the header, what follows are the tensors' bytes.
std::string with_length(const std::string& text) {
  std::uint64_t length = text.rfind('}') == std::string::npos ? 0 : text.rfind('}') + 1;
  std::string file;
  for (int i = 0; i < 8; ++i, length >>= 8) file += static_cast<char>(length & 0xff);
  return file + text;
}

}  // namespace
}  // namespace ktrdr::checkpoints

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  ktrdr::checkpoints::read(text);
  ktrdr::checkpoints::read(ktrdr::checkpoints::with_length(text));
  return 0;
}
