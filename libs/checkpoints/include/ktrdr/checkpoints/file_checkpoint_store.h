// Keeps checkpoints as immutable files, one folder per operation, on a local disk or a shared folder.
// A checkpoint is visible entirely or not at all, also after a crash; see the numbered steps in
// file_checkpoint_store.cc.
#pragma once

#include <filesystem>

#include "ktrdr/checkpoints/checkpoint_store.h"

namespace ktrdr::checkpoints {

// Holds nothing but the path of its root, so any number of threads and processes may use one root at once.
class FileCheckpointStore final : public CheckpointStore {
 public:
  // Creates `root` when it is missing.
  static Result<FileCheckpointStore> open(std::filesystem::path root);

  Result<StoredCheckpoint> put(const CheckpointContent& content) override;
  Result<VerifiedCheckpoint> load(const OperationId& operation, CheckpointRef ref) const override;
  Result<std::vector<CheckpointRef>> list(const OperationId& operation) const override;
  Result<std::vector<OperationId>> operations() const override;
  std::optional<std::uint64_t> free_bytes() const override;
  Result<void> remove(const OperationId& operation, CheckpointRef ref) override;
  Result<void> remove_operation(const OperationId& operation) override;
  Result<std::size_t> remove_leftovers(const OperationId& operation,
                                       const std::function<bool(CheckpointRef)>& may_be_in_use) override;

 private:
  explicit FileCheckpointStore(std::filesystem::path root) : root_(std::move(root)) {}

  std::filesystem::path root_;
};

}  // namespace ktrdr::checkpoints
