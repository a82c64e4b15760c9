#include "ktrdr/checkpoints/safetensors.h"

#include <algorithm>
#include <cstring>

#include "json_text.h"

namespace ktrdr::checkpoints {
namespace {

constexpr std::size_t kLengthBytes = 8;  // the little-endian length in front of the header
constexpr std::size_t kAlignment = 8;

// The reference implementation's order of types: descending alignment, as its enumeration lists them.
int rank(DType dtype) {
  switch (dtype) {
    case DType::kI64: return 0;
    case DType::kF64: return 1;
    case DType::kF32: return 2;
    case DType::kU8: return 3;
  }
  return 4;
}

Error corrupted(std::string text) { return {ErrorCode::kCheckpointCorrupted, std::move(text)}; }

// Only the characters that a tensor's name may have are shown: a message ends up in logs and terminals.
std::string quoted(std::string_view name) {
  return is_tensor_name(name) ? "'" + std::string(name) + "'" : std::string("with a bad name");
}

std::uint64_t read_length(std::span<const std::byte> bytes) {
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    length |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  return length;
}

std::string encode_length(std::uint64_t length) {
  std::string bytes;
  for (std::size_t i = 0; i < kLengthBytes; ++i) bytes += static_cast<char>((length >> (8 * i)) & 0xff);
  return bytes;
}

struct Parts {
  std::string_view header;
  std::span<const std::byte> data;
};

Result<Parts> split(std::span<const std::byte> bytes) {
  if (bytes.size() < kLengthBytes) return corrupted("The file is too short for a safetensors header.");
  const std::uint64_t length = read_length(bytes);
  if (length > kLargestSafetensorsHeader) return corrupted("The safetensors header is longer than 1 MiB.");
  if (length > bytes.size() - kLengthBytes)
    return corrupted("The safetensors header is longer than the file.");
  const auto header = bytes.subspan(kLengthBytes, length);
  std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());
  text = text.substr(0, text.find_last_not_of(' ') + 1);  // the padding
  if (text.empty() || text.back() != '}') return corrupted("The safetensors header does not end with }.");
  return Parts{text, bytes.subspan(kLengthBytes + length)};
}

Result<TensorView> view_of(const TensorEntry& entry, std::span<const std::byte> data) {
  if (!is_tensor_name(entry.name))
    return corrupted("A tensor's name is not 1 to 256 printable ASCII characters.");
  const auto dtype = parse_dtype(entry.dtype);
  if (!dtype)
    return corrupted("The tensor " + quoted(entry.name) + " has a dtype other than F32, F64, I64 and U8.");
  const auto bytes = byte_count(*dtype, entry.shape);
  if (!bytes) return corrupted("The tensor " + quoted(entry.name) + " has an impossible shape.");
  if (entry.begin < 0 || entry.end < entry.begin || static_cast<std::uint64_t>(entry.end) > data.size()) {
    return corrupted("The tensor " + quoted(entry.name) + " lies outside the file.");
  }
  const auto begin = static_cast<std::size_t>(entry.begin);
  const auto end = static_cast<std::size_t>(entry.end);
  if (end - begin != *bytes) {
    return corrupted("The tensor " + quoted(entry.name) + " has another size than its shape says.");
  }
  return TensorView{entry.name, *dtype, entry.shape, data.subspan(begin, end - begin)};
}

// The entries, in the order of their offsets, must cover the data exactly once.
Result<void> check_coverage(const std::vector<TensorEntry>& by_offset, std::size_t data_size) {
  std::int64_t expected = 0;
  for (const TensorEntry& entry : by_offset) {
    if (entry.begin < expected)
      return corrupted("The tensor " + quoted(entry.name) + " overlaps another one.");
    if (entry.begin > expected)
      return corrupted("There is a hole before the tensor " + quoted(entry.name) + ".");
    expected = entry.end;
  }
  if (static_cast<std::size_t>(expected) != data_size)
    return corrupted("There are bytes after the last tensor.");
  return {};
}

Error wrong_layout(const TensorView& tensor) {
  return corrupted("The tensor " + quoted(tensor.name) +
                   " has another dtype or shape than this model needs.");
}

}  // namespace

std::vector<TensorView> in_file_order(const TensorMap& map) {
  std::vector<TensorView> tensors = map.views();
  std::stable_sort(tensors.begin(), tensors.end(),
                   [](const TensorView& a, const TensorView& b) { return rank(a.dtype) < rank(b.dtype); });
  return tensors;
}

Result<std::string> safetensors_header(std::span<const TensorView> in_file_order) {
  std::vector<TensorEntry> entries;
  std::int64_t offset = 0;
  for (const TensorView& tensor : in_file_order) {
    const std::int64_t end = offset + static_cast<std::int64_t>(tensor.bytes.size());
    entries.push_back({tensor.name, std::string(to_string(tensor.dtype)), tensor.shape, offset, end});
    offset = end;
  }
  std::string text = write_tensor_entries(entries);
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  if (text.size() > kLargestSafetensorsHeader) {
    return Error(ErrorCode::kTooLarge, "The model has too many tensors for a safetensors header of 1 MiB.");
  }
  return encode_length(text.size()) + text;
}

Result<SafetensorsFile> parse_safetensors(std::span<const std::byte> bytes) {
  TRY_ASSIGN(const Parts parts, split(bytes));
  TRY_ASSIGN(std::vector<TensorEntry> entries, parse_tensor_entries(parts.header));
  SafetensorsFile file;
  for (const TensorEntry& entry : entries) {
    TRY_ASSIGN(TensorView view, view_of(entry, parts.data));
    file.tensors.push_back(std::move(view));
  }
  std::sort(file.tensors.begin(), file.tensors.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  std::sort(entries.begin(), entries.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  TRY(check_coverage(entries, parts.data.size()));
  return file;
}

Result<void> check_layout(const SafetensorsFile& file, const TensorMap& expected) {
  for (const TensorView& wanted : expected.views()) {
    const TensorView* found = file.find(wanted.name);
    if (found == nullptr) return corrupted("The tensor " + quoted(wanted.name) + " is missing.");
    if (found->dtype != wanted.dtype || found->shape != wanted.shape) return wrong_layout(*found);
  }
  for (const TensorView& found : file.tensors) {
    if (!expected.contains(found.name))
      return corrupted("The tensor " + quoted(found.name) + " is not expected.");
  }
  return {};
}

Result<void> restore_into(const SafetensorsFile& file, TensorMap& target) {
  TRY(check_layout(file, target));
  for (const TensorView& tensor : file.tensors) {
    const std::span<std::byte> memory = target.mutable_bytes(tensor.name);
    if (!memory.empty()) std::memcpy(memory.data(), tensor.bytes.data(), memory.size());
  }
  return {};
}

TensorMap to_tensor_map(std::span<const TensorView> tensors) {
  TensorMap map;
  map.assign_from(tensors);
  return map;
}

}  // namespace ktrdr::checkpoints
