// The zip around the pickle, as APPNOTE.TXT of PKWARE describes it: for each file a local header, its name,
// an extra field that pads, its bytes; then the central directory that lists them all; then where that is.
#include "ktrdr/checkpoints/pytorch_file.h"

#include <zlib.h>

#include <limits>

#include "ktrdr/core/check.h"
#include "pickle_writer.h"

namespace ktrdr::checkpoints {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50;
constexpr std::uint32_t kCentralHeader = 0x02014b50;
constexpr std::uint32_t kEndOfDirectory = 0x06054b50;
constexpr std::uint16_t kVersionNeeded = 10;     // 1.0: stored files
constexpr std::uint16_t kFirstDay = 0x0021;      // 1980-01-01, the zip's earliest: the bytes hold no time
constexpr std::uint16_t kPaddingField = 0x4246;  // "FB", PyTorch's own id
constexpr std::size_t kLocalHeaderSize = 30;
constexpr std::size_t kFieldHeaderSize = 4;
constexpr std::size_t kAlignment = 64;
constexpr std::uint64_t kLargestFile = std::numeric_limits<std::uint32_t>::max() - 1;
constexpr std::size_t kMostEntries = std::numeric_limits<std::uint16_t>::max() - 1;

constexpr std::string_view kFolder = "archive/";

void append(std::string& text, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) text += static_cast<char>((value >> (8 * i)) & 0xff);
}
void append16(std::string& text, std::uint64_t value) { append(text, value, 2); }
void append32(std::string& text, std::uint64_t value) { append(text, value, 4); }

std::uint32_t crc_of(std::span<const std::byte> bytes) {
  if (bytes.empty()) return 0;  // zlib takes a null pointer for another question
  return static_cast<std::uint32_t>(::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace

// Puts one archive together. Sizes are checked before this begins, so nothing here can overflow.
class ZipWriter {
 public:
  void add_borrowed(std::string_view name, std::span<const std::byte> bytes) {
    begin(name, bytes);
    borrow(bytes);
  }
  void add_text(std::string_view name, const std::string& text) {
    begin(name, std::as_bytes(std::span(text)));
    own(text);
  }

  PytorchFile finish() {
    const std::uint64_t begin = file_.size_;
    std::string directory;
    for (const Entry& entry : entries_) directory += central_header(entry);
    const std::uint64_t size = directory.size();
    append32(directory, kEndOfDirectory);
    append32(directory, 0);  // the number of this disk, and of the directory's
    append16(directory, entries_.size());
    append16(directory, entries_.size());
    append32(directory, size);
    append32(directory, begin);
    append16(directory, 0);  // no comment
    own(directory);
    return std::move(file_);
  }

 private:
  struct Entry {
    std::string name;
    std::uint32_t crc = 0;
    std::uint64_t size = 0, offset = 0;
  };

  void begin(std::string_view name, std::span<const std::byte> bytes) {
    entries_.push_back({std::string(kFolder) + std::string(name), crc_of(bytes), bytes.size(), file_.size_});
    own(local_header(entries_.back()));
  }

  // What both headers say in the same words.
  static void append_description(std::string& text, const Entry& entry, std::size_t extra) {
    append16(text, kVersionNeeded);
    append16(text, 0);  // no flags
    append16(text, 0);  // stored
    append16(text, 0);  // midnight
    append16(text, kFirstDay);
    append32(text, entry.crc);
    append32(text, entry.size);  // compressed
    append32(text, entry.size);
    append16(text, entry.name.size());
    append16(text, extra);
  }

  static std::string local_header(const Entry& entry) {
    const std::uint64_t unpadded = entry.offset + kLocalHeaderSize + entry.name.size() + kFieldHeaderSize;
    const std::size_t padding = (kAlignment - unpadded % kAlignment) % kAlignment;
    std::string text;
    append32(text, kLocalHeader);
    append_description(text, entry, kFieldHeaderSize + padding);
    text += entry.name;
    append16(text, kPaddingField);
    append16(text, padding);
    text.append(padding, 'Z');
    return text;
  }

  static std::string central_header(const Entry& entry) {
    std::string text;
    append32(text, kCentralHeader);
    append16(text, kVersionNeeded);  // made by
    append_description(text, entry, 0);
    append16(text, 0);  // no comment
    append32(text, 0);  // first disk, internal attributes
    append32(text, 0);  // external attributes
    append32(text, entry.offset);
    text += entry.name;
    return text;
  }

  void own(const std::string& text) {
    file_.own_ += text;
    file_.pieces_.push_back({text.size(), {}});
    file_.size_ += text.size();
  }
  void borrow(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    file_.pieces_.push_back({0, bytes});
    file_.size_ += bytes.size();
  }

  PytorchFile file_;
  std::vector<Entry> entries_;
};

namespace {

// A bound, not the exact size: headers with the longest padding, and the directory.
Result<void> check_size(const PickledValue& pickled) {
  constexpr std::uint64_t kMostPerEntry = 512;
  std::uint64_t size = pickled.pickle.size() + (pickled.storages.size() + 4) * kMostPerEntry;
  for (const TensorView& storage : pickled.storages) size += storage.bytes.size();
  if (size <= kLargestFile && pickled.storages.size() + 4 <= kMostEntries) return {};
  return Error(
      ErrorCode::kTooLarge,
      "A .pt file of ours is smaller than 4 GiB and has fewer than 65,000 tensors, and this would be " +
          std::to_string(size >> 20) + " MiB with " + std::to_string(pickled.storages.size()) +
          " tensors; export it with --format safetensors instead.");
}

}  // namespace

Result<PytorchFile> PytorchFile::of(const PythonValue& value) {
  const PickledValue pickled = pickle(value);
  TRY(check_size(pickled));
  ZipWriter zip;
  zip.add_text("data.pkl", pickled.pickle);
  zip.add_text("byteorder", "little");
  for (std::size_t i = 0; i < pickled.storages.size(); ++i)
    zip.add_borrowed("data/" + std::to_string(i), pickled.storages[i].bytes);
  zip.add_text("version", "3\n");
  return zip.finish();
}

std::vector<std::span<const std::byte>> PytorchFile::pieces() const {
  std::vector<std::span<const std::byte>> all;
  auto own = std::as_bytes(std::span(own_));
  for (const Piece& piece : pieces_) {
    all.push_back(piece.own > 0 ? own.first(piece.own) : piece.borrowed);
    own = own.subspan(piece.own);
  }
  return all;
}

}  // namespace ktrdr::checkpoints
