// Keeps checkpoints as objects of a bucket, under the names that FileCheckpointStore gives to files:
//
//   <prefix>/<operation>/<attempt>-<sequence>/model.safetensors, …, manifest.json
//
// so that either can be copied to the other. A checkpoint is there when its manifest is; see the numbered
// steps in s3_checkpoint_store.cc.
//
// Write-once: one object of this class never lets two writers into one reference, and a server with
// conditional writes doesn't let two processes. Elsewhere two processes that used one reference at once would
// overwrite each other; the rows keep them from it, because an attempt is claimed by one worker only (rules 2
// and 3).
//
// Besides the errors of CheckpointStore: kUnavailable (outage, timeout, overload, after a few tries),
// kUnauthorized and kForbidden, kInvalidArgument (no such bucket).
#pragma once

#include <memory>
#include <set>
#include <string>

#include "ktrdr/checkpoints/checkpoint_store.h"
#include "ktrdr/core/synchronized.h"
#include "ktrdr/s3/s3_bucket.h"

namespace ktrdr::checkpoints {

// Any number of threads and processes may use one place at once.
class S3CheckpointStore final : public CheckpointStore {
 public:
  explicit S3CheckpointStore(s3::S3Settings settings, s3::S3Patience patience = {}, s3::S3Sizes sizes = {});

  Result<void> check_access() const { return bucket_.check_access(); }

  Result<StoredCheckpoint> put(const CheckpointContent& content) override;
  Result<VerifiedCheckpoint> load(const OperationId& operation, CheckpointRef ref) const override;
  Result<std::vector<CheckpointRef>> list(const OperationId& operation) const override;
  Result<std::vector<OperationId>> operations() const override;
  Result<void> remove(const OperationId& operation, CheckpointRef ref) override;
  Result<void> remove_operation(const OperationId& operation) override;
  Result<std::size_t> remove_leftovers(const OperationId& operation,
                                       const std::function<bool(CheckpointRef)>& may_be_in_use) override;

 private:
  Result<std::string> folder_of(const OperationId& operation) const;
  Result<void> write(const std::string& folder, const std::vector<FileContent>& files);
  Error give_up(const std::string& folder, const std::vector<FileContent>& files, Error reason);
  Result<void> check_whole(const std::string& folder, const std::vector<FileContent>& files);
  Result<void> discard(const std::string& folder);
  Result<bool> sweep(const std::string& folder);
  Result<std::set<CheckpointRef>> abort_uploads(const std::string& operation_folder,
                                                const std::function<bool(CheckpointRef)>& may_go);

  s3::S3Bucket bucket_;
  const std::string root_;  // "" or "prefix/"
  Synchronized<std::set<std::string>> being_written_;
};

}  // namespace ktrdr::checkpoints
