#include "ktrdr/checkpoints/verified_checkpoint.h"

#include <algorithm>
#include <numeric>

#include "ktrdr/core/digest.h"
#include "parallel.h"

namespace ktrdr::checkpoints {
namespace {

constexpr std::string_view kTensorSuffix = ".safetensors";

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Error damaged(std::string_view file, const std::string& what) {
  return {ErrorCode::kCheckpointCorrupted, std::string(file) + " is damaged: " + what + "."};
}

Result<void> check_names(const Manifest& manifest, const OperationId& operation, CheckpointRef ref) {
  if (manifest.operation == operation && manifest.ref == ref) return {};
  return Error(ErrorCode::kCheckpointCorrupted, "manifest.json belongs to checkpoint " +
                                                    manifest.ref.to_string() + " of " +
                                                    manifest.operation.value + ".");
}

}  // namespace

Result<VerifiedCheckpoint::File> VerifiedCheckpoint::verify_file(const FileEntry& entry,
                                                                 const CheckpointFiles& files) {
  TRY_ASSIGN(FileBytes content, files.read(entry.name, entry.size));
  const auto bytes = content.bytes;
  if (bytes.size() != entry.size) {
    return damaged(entry.name, "it has " + std::to_string(bytes.size()) + " bytes instead of " +
                                   std::to_string(entry.size));
  }
  if (xxh3_128_hex(bytes) != entry.xxh3_128)
    return damaged(entry.name, "its digest differs from the manifest's");
  File file{std::move(content), {}, entry.name.ends_with(kTensorSuffix)};
  if (!file.has_tensors) return file;
  auto tensors = parse_safetensors(bytes);
  if (!tensors.ok()) return std::move(tensors).error().while_doing("reading " + entry.name);
  file.tensors = *std::move(tensors);
  return file;
}

// The largest first, so that two threads end at about the same time.
std::vector<Result<VerifiedCheckpoint::File>> VerifiedCheckpoint::verify_files(
    std::span<const FileEntry> entries, const CheckpointFiles& files) {
  std::vector<std::size_t> order(entries.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return entries[a].size > entries[b].size; });
  std::size_t bytes = 0;
  for (const FileEntry& entry : entries) bytes += entry.size;
  std::vector<Result<File>> verified(entries.size(), Result<File>(File{}));
  for_each_part(order.size(), bytes,
                [&](std::size_t part) { verified[order[part]] = verify_file(entries[order[part]], files); });
  return verified;
}

Result<VerifiedCheckpoint> VerifiedCheckpoint::verify(const OperationId& operation, CheckpointRef ref,
                                                      const CheckpointFiles& files) {
  TRY_ASSIGN(const FileBytes text, files.read(kManifestFile, kLargestManifest));
  TRY_ASSIGN(ParsedManifest parsed, parse_manifest(as_text(text.bytes)));
  TRY(check_names(parsed.manifest, operation, ref));
  TRY(validate_artifacts(parsed.manifest.files));
  std::vector<Result<File>> verified = verify_files(parsed.manifest.files, files);
  VerifiedCheckpoint checkpoint;
  for (std::size_t i = 0; i < verified.size(); ++i) {
    TRY_ASSIGN(File file, std::move(verified[i]));
    checkpoint.files_.emplace(parsed.manifest.files[i].name, std::move(file));
  }
  checkpoint.manifest_ = std::move(parsed.manifest);
  checkpoint.manifest_digest_ = std::move(parsed.digest);
  return checkpoint;
}

const VerifiedCheckpoint::File* VerifiedCheckpoint::find(std::string_view file) const {
  const auto place = files_.find(file);
  return place == files_.end() ? nullptr : &place->second;
}

const SafetensorsFile* VerifiedCheckpoint::tensors(std::string_view name) const {
  const File* file = find(name);
  return file != nullptr && file->has_tensors ? &file->tensors : nullptr;
}

std::span<const std::byte> VerifiedCheckpoint::bytes(std::string_view name) const {
  const File* file = find(name);
  return file != nullptr ? file->content.bytes : std::span<const std::byte>();
}

std::string_view VerifiedCheckpoint::text(std::string_view name) const { return as_text(bytes(name)); }

}  // namespace ktrdr::checkpoints
