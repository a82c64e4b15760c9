// Where checkpoints are kept: immutable, verified objects, named by operation, attempt and sequence. A store
// knows nothing of rows: an object counts only once the server has committed its row, and which objects may
// go is decided from the rows.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/checkpoints/file_content.h"
#include "ktrdr/checkpoints/manifest.h"
#include "ktrdr/checkpoints/verified_checkpoint.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/core/result.h"

namespace ktrdr::checkpoints {

struct CheckpointContent {
  CheckpointDescription description;
  std::vector<FileContent> files;  // everything but manifest.json
};

// What the row of a checkpoint records about its object.
struct StoredCheckpoint {
  CheckpointRef ref;
  std::uint64_t total_bytes = 0;  // of all files, the manifest included
  std::string manifest_digest;    // covers every byte of every file
};

// The manifest that belongs to `content`: sizes and digests of all files. kInvalidArgument when the content
// is not a checkpoint: a bad id or file name, two files of one name, a required file that is missing or
// empty.
Result<Manifest> describe(const CheckpointContent& content);
// The same for files whose digests are known already; in any order.
Result<Manifest> describe(const CheckpointDescription& description, std::vector<FileEntry> files);

// Safe to call from several threads, and in stores that share their storage from several processes.
// An operation id that is not valid is answered with kInvalidArgument by every function.
class CheckpointStore {
 public:
  virtual ~CheckpointStore() = default;

  // Publishes a checkpoint: visible entirely or not at all, and durable when this returns. Write-once:
  // kConflict when there already is one of that reference. After any other error the reference must not be
  // used again (sequence numbers may skip), because a failed fsync is final; nothing that was stored before
  // has changed.
  virtual Result<StoredCheckpoint> put(const CheckpointContent& content) = 0;

  // Every byte verified. kCheckpointNotFound when there is no such checkpoint, kCheckpointCorrupted when
  // there is one but it may not be used.
  virtual Result<VerifiedCheckpoint> load(const OperationId& operation, CheckpointRef ref) const = 0;

  // All published checkpoints of an operation, in the order of attempt, then sequence. Empty for an unknown
  // operation. A sweep lists first and reads the rows afterwards; else one that is committed in between looks
  // unreferenced.
  virtual Result<std::vector<CheckpointRef>> list(const OperationId& operation) const = 0;

  virtual Result<std::vector<OperationId>> operations() const = 0;  // that have a folder here, in order

  // Room for further checkpoints; nothing where that can't be told (a bucket).
  virtual std::optional<std::uint64_t> free_bytes() const { return std::nullopt; }

  // Idempotent: removing what isn't there is fine, and repeating a removal that was interrupted finishes it.
  // No reader ever sees half a checkpoint go.
  virtual Result<void> remove(const OperationId& operation, CheckpointRef ref) = 0;
  virtual Result<void> remove_operation(const OperationId& operation) = 0;  // with everything in it

  // Removes what crashed or abandoned writers and removers left behind, and tells how many it were. An
  // unfinished checkpoint for which `may_be_in_use` answers true is left alone: rule 11, a sweeper passes
  // `[&](CheckpointRef r) { return row_is_running && r.attempt >= row_attempt; }`. A writer whose unfinished
  // checkpoint is taken away gets kIo; it can't publish a part.
  virtual Result<std::size_t> remove_leftovers(const OperationId& operation,
                                               const std::function<bool(CheckpointRef)>& may_be_in_use) = 0;
};

}  // namespace ktrdr::checkpoints
