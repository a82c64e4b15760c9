#include "ktrdr/checkpoints/verified_checkpoint.h"

#include "ktrdr/core/digest.h"

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

Result<VerifiedCheckpoint> VerifiedCheckpoint::verify(const OperationId& operation, CheckpointRef ref,
                                                      const CheckpointFiles& files) {
  TRY_ASSIGN(const FileBytes text, files.read(kManifestFile, kLargestManifest));
  TRY_ASSIGN(ParsedManifest parsed, parse_manifest(as_text(text.bytes)));
  TRY(check_names(parsed.manifest, operation, ref));
  TRY(validate_artifacts(parsed.manifest.files));
  VerifiedCheckpoint checkpoint;
  for (const FileEntry& entry : parsed.manifest.files) {
    TRY_ASSIGN(File file, verify_file(entry, files));
    checkpoint.files_.emplace(entry.name, std::move(file));
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
