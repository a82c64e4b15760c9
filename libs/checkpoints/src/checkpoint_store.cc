#include "ktrdr/checkpoints/checkpoint_store.h"

#include <algorithm>

#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/core/digest.h"

namespace ktrdr::checkpoints {
namespace {

// The digest of one file that lies in pieces; the same digits as xxh3_128_hex() of the whole.
std::string digest_of(const FileContent& file) {
  Xxh3 digest;
  for (const auto& piece : file.pieces()) digest.update(piece);
  return digest.hex();
}

}  // namespace

Result<Manifest> describe(const CheckpointContent& content) {
  std::vector<FileEntry> files;
  for (const FileContent& file : content.files) files.push_back({file.name, file.size(), digest_of(file)});
  return describe(content.description, std::move(files));
}

Result<Manifest> describe(const CheckpointDescription& description, std::vector<FileEntry> files) {
  Manifest manifest;
  static_cast<CheckpointDescription&>(manifest) = description;
  manifest.files = std::move(files);
  std::sort(manifest.files.begin(), manifest.files.end(),
            [](const FileEntry& a, const FileEntry& b) { return a.name < b.name; });
  if (auto valid = validate_artifacts(manifest.files); !valid.ok()) {
    return Error(ErrorCode::kInvalidArgument, valid.error().message);
  }
  return manifest;
}

}  // namespace ktrdr::checkpoints
