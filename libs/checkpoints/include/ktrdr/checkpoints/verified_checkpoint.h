// A checkpoint whose every byte has been checked. It is the only way from stored bytes to tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/checkpoints/manifest.h"
#include "ktrdr/checkpoints/safetensors.h"

namespace ktrdr::checkpoints {

// A whole file in memory: mapped, or received. The owner is shared because a copy of the views may outlive
// the first of them, and untyped because each store has its own kind of memory.
struct FileBytes {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
};

// The files of one checkpoint, as one store keeps them. Safe to call from several threads.
class CheckpointFiles {
 public:
  virtual ~CheckpointFiles() = default;

  // kCheckpointCorrupted when the file is missing, longer than `at_most` bytes, unreadable or not a regular
  // file; kIo when the store itself can't be reached.
  virtual Result<FileBytes> read(std::string_view name, std::uint64_t at_most) const = 0;
};

// Owns the memory that its views point to; moving it keeps them valid. Safe to read from several threads.
class VerifiedCheckpoint {
 public:
  // Checks, in this order and before anything is built: the manifest's own digest, that it describes this
  // operation and reference, the required files, every file's size and XXH3-128, and every safetensors file's
  // header. kCheckpointCorrupted names the file and what is wrong with it. Files that the manifest does not
  // name are ignored.
  static Result<VerifiedCheckpoint> verify(const OperationId& operation, CheckpointRef ref,
                                           const CheckpointFiles& files);

  const Manifest& manifest() const { return manifest_; }
  const std::string& manifest_digest() const { return manifest_digest_; }

  const SafetensorsFile& model() const { return *tensors(kModelFile); }
  const SafetensorsFile& optimizer() const { return *tensors(kOptimizerFile); }
  const SafetensorsFile& trainer() const { return *tensors(kTrainerFile); }
  const SafetensorsFile* scheduler() const { return tensors(kSchedulerFile); }   // null when it has none
  const SafetensorsFile* best_model() const { return tensors(kBestModelFile); }  // null when it has none
  const SafetensorsFile* tensors(std::string_view file) const;  // null when there is no such file

  // Any file's bytes, empty when there is no such file.
  std::span<const std::byte> bytes(std::string_view file) const;
  std::string_view text(std::string_view file) const;

 private:
  VerifiedCheckpoint() = default;

  struct File {
    FileBytes content;
    SafetensorsFile tensors;  // of a .safetensors file
    bool has_tensors = false;
  };

  static Result<File> verify_file(const FileEntry& entry, const CheckpointFiles& files);
  static std::vector<Result<File>> verify_files(std::span<const FileEntry> entries,
                                                const CheckpointFiles& files);
  const File* find(std::string_view file) const;

  Manifest manifest_;
  std::string manifest_digest_;
  std::map<std::string, File, std::less<>> files_;
};

}  // namespace ktrdr::checkpoints
