// manifest.json: what a checkpoint is and what belongs to it. Its last field is the XXH3-128 of all text
// before that field, so that any changed byte of the manifest itself is found; see
// docs/formats/checkpoint.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/core/checkpoint_type.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/core/result.h"

namespace ktrdr::checkpoints {

inline constexpr int kManifestVersion = 1;
inline constexpr std::size_t kLargestManifest = std::size_t{1} << 20;  // bytes

struct FileEntry {
  std::string name;
  std::uint64_t size = 0;  // bytes
  std::string xxh3_128;    // 32 lower-case hex digits
  bool operator==(const FileEntry&) const = default;
};

// What the trainer says about a checkpoint.
struct CheckpointDescription {
  OperationId operation;
  CheckpointRef ref;
  std::optional<CheckpointRef> parent;  // the last acknowledged checkpoint before it
  CheckpointType checkpoint_type = CheckpointType::kPeriodic;
  std::int64_t epoch = -1;       // last completed epoch, 0-based; -1 = none
  std::int64_t start_epoch = 0;  // where a resume starts: this epoch, at this batch
  std::int64_t start_batch = 0;
  std::int64_t global_step = 0;
  std::map<std::string, std::string>
      identity;  // of the run: strategy SHA-256, data fingerprint, engine, threads, …
  bool operator==(const CheckpointDescription&) const = default;
};

struct Manifest : CheckpointDescription {
  int format_version = kManifestVersion;
  std::vector<FileEntry> files;  // by name, without the manifest itself
  bool operator==(const Manifest&) const = default;
};

// The file's text and its digest (the last field's value), which stands for the whole checkpoint: it covers
// the digests of all files.
struct ManifestText {
  std::string text;
  std::string digest;
};

// kInvalidArgument when a field can't be written: a name that is not a file name, text that is not UTF-8, a
// negative position; kTooLarge over 1 MiB.
Result<ManifestText> write_manifest(const Manifest& manifest);

struct ParsedManifest {
  Manifest manifest;
  std::string digest;
};

// kCheckpointCorrupted when a byte changed or a field is missing, unknown or out of range; kUnsupported when
// a newer version wrote it (the checkpoint is then whole, so nobody should fall back to an older one).
Result<ParsedManifest> parse_manifest(std::string_view text);

}  // namespace ktrdr::checkpoints
