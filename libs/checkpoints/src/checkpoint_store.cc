#include "ktrdr/checkpoints/checkpoint_store.h"

#include <xxhash.h>

#include <algorithm>
#include <memory>

#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/core/check.h"

namespace ktrdr::checkpoints {
namespace {

// The digest of one file that lies in pieces; the same digits as xxh3_128_hex() of the whole.
std::string digest_of(const FileContent& file) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  CHECK(state != nullptr, "there is memory for the state of a digest");
  XXH3_128bits_reset(state.get());
  for (const auto& piece : file.pieces()) XXH3_128bits_update(state.get(), piece.data(), piece.size());
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state.get()));
  std::string hex;
  for (const unsigned char byte : canonical.digest) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace

Result<Manifest> describe(const CheckpointContent& content) {
  Manifest manifest;
  static_cast<CheckpointDescription&>(manifest) = content.description;
  for (const FileContent& file : content.files) {
    manifest.files.push_back({file.name, file.size(), digest_of(file)});
  }
  std::sort(manifest.files.begin(), manifest.files.end(),
            [](const FileEntry& a, const FileEntry& b) { return a.name < b.name; });
  if (auto valid = validate_artifacts(manifest.files); !valid.ok()) {
    return Error(ErrorCode::kInvalidArgument, valid.error().message);
  }
  return manifest;
}

}  // namespace ktrdr::checkpoints
