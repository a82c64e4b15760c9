// A CheckpointStore in memory, for tests of what uses one. It encodes and verifies as every store does, so a
// test can damage bytes and see them refused. Safe to call from several threads.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ktrdr/checkpoints/checkpoint_store.h"
#include "ktrdr/core/synchronized.h"

namespace ktrdr::checkpoints::testing {

class MemoryCheckpointStore final : public CheckpointStore {
 public:
  Result<StoredCheckpoint> put(const CheckpointContent& content) override {
    if (auto failure = std::exchange(*next_failure_.lock(), std::nullopt)) return *std::move(failure);
    TRY_ASSIGN(const Manifest manifest, describe(content));
    TRY_ASSIGN(const ManifestText text, write_manifest(manifest));
    Files files = {{std::string(kManifestFile), std::make_shared<const std::string>(text.text)}};
    StoredCheckpoint stored{content.description.ref, text.text.size(), text.digest};
    for (const FileContent& file : content.files) {
      files[file.name] = std::make_shared<const std::string>(joined(file));
      stored.total_bytes += file.size();
    }
    const Key key{content.description.operation, stored.ref};
    if (checkpoints_.lock()->emplace(key, std::move(files)).second) return stored;
    return Error(ErrorCode::kConflict, "There already is a checkpoint " + stored.ref.to_string() + ".");
  }

  Result<VerifiedCheckpoint> load(const OperationId& operation, CheckpointRef ref) const override {
    TRY_ASSIGN(const OperationId id, OperationId::parse(operation.value));
    const std::optional<FilesInMemory> files = find({id, ref});
    if (files) return VerifiedCheckpoint::verify(id, ref, *files);
    return Error(ErrorCode::kCheckpointNotFound, "There is no checkpoint " + ref.to_string() + ".");
  }

  Result<std::vector<CheckpointRef>> list(const OperationId& operation) const override {
    TRY_ASSIGN(const OperationId id, OperationId::parse(operation.value));
    std::vector<CheckpointRef> refs;
    auto checkpoints = checkpoints_.lock();
    for (const auto& [key, files] : *checkpoints) {
      if (key.first == id) refs.push_back(key.second);
    }
    return refs;
  }

  Result<std::vector<OperationId>> operations() const override {
    std::vector<OperationId> ids;
    auto checkpoints = checkpoints_.lock();
    for (const auto& [key, files] : *checkpoints) {
      if (ids.empty() || ids.back() != key.first) ids.push_back(key.first);
    }
    return ids;
  }

  Result<void> remove(const OperationId& operation, CheckpointRef ref) override {
    TRY_ASSIGN(const OperationId id, OperationId::parse(operation.value));
    checkpoints_.lock()->erase({id, ref});
    return {};
  }

  Result<void> remove_operation(const OperationId& operation) override {
    TRY_ASSIGN(const OperationId id, OperationId::parse(operation.value));
    std::erase_if(*checkpoints_.lock(), [&](const auto& entry) { return entry.first.first == id; });
    return {};
  }

  // A map holds no half-written entries.
  Result<std::size_t> remove_leftovers(const OperationId& operation,
                                       const std::function<bool(CheckpointRef)>& /*may_be_in_use*/) override {
    TRY(OperationId::parse(operation.value));
    return std::size_t{0};
  }

  // The next put() answers with this error, once.
  void fail_next_put(Error error) { *next_failure_.lock() = std::move(error); }

  // Replaces the bytes of a file that is there; without new bytes the file goes.
  void change_file(const OperationId& operation, CheckpointRef ref, const std::string& file,
                   std::optional<std::string> bytes) {
    auto checkpoints = checkpoints_.lock();
    Files& files = checkpoints->at({operation, ref});
    CHECK(files.erase(file) == 1, "a test changes a file that is there");
    if (bytes) files[file] = std::make_shared<const std::string>(*std::move(bytes));
  }

 private:
  using Key = std::pair<OperationId, CheckpointRef>;
  // Shared, so that a loaded checkpoint outlives its removal, as a mapped file does.
  using Files = std::map<std::string, std::shared_ptr<const std::string>, std::less<>>;

  class FilesInMemory final : public CheckpointFiles {
   public:
    explicit FilesInMemory(Files files) : files_(std::move(files)) {}
    Result<FileBytes> read(std::string_view name, std::uint64_t at_most) const override {
      const auto file = files_.find(name);
      if (file == files_.end()) return corrupted(name, "is missing");
      if (file->second->size() > at_most) return corrupted(name, "is too long");
      return FileBytes{file->second, std::as_bytes(std::span(*file->second))};
    }

   private:
    static Error corrupted(std::string_view name, std::string_view what) {
      return {ErrorCode::kCheckpointCorrupted, std::string(name) + " " + std::string(what) + "."};
    }
    Files files_;
  };

  static std::string joined(const FileContent& file) {
    std::string bytes;
    for (const auto& piece : file.pieces())
      bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return bytes;
  }

  std::optional<FilesInMemory> find(const Key& key) const {
    auto checkpoints = checkpoints_.lock();
    const auto place = checkpoints->find(key);
    if (place == checkpoints->end()) return std::nullopt;
    return FilesInMemory(place->second);
  }

  mutable Synchronized<std::map<Key, Files>> checkpoints_;
  Synchronized<std::optional<Error>> next_failure_;
};

}  // namespace ktrdr::checkpoints::testing
