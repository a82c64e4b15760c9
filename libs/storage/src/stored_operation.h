// One operation as the store holds it: what clients see, and what only the guards need.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::storage {

// What ended an operation. It tells the repeat of a request whose answer was lost from another end of the
// same attempt: a worker's `stopped` after the sweeper gave it up is no repeat.
enum class Ending { kNone, kCompleted, kFailed, kStopped, kOrphaned, kCancelledUnclaimed, kFailedUnclaimed };
std::string_view to_string(Ending ending);
std::optional<Ending> parse_ending(std::string_view text);

struct StoredCheckpoint {
  api::CheckpointInfo info;
  std::vector<CheckpointRef> dropped;         // by the commit of this one: the answer of its repeat
  std::optional<CheckpointRef> rewound_from;  // the pointer came back here from that one
  bool operator==(const StoredCheckpoint&) const = default;
};

// How the newest attempt came about, when the one before was followed by it without anybody asking.
struct Restart {
  Ending cause = Ending::kNone;            // what would have ended the one before
  std::string worker;                      // its owner
  std::optional<BatchPosition> failed_at;  // of the last failure since a client started or resumed it
};

struct StoredOperation {
  api::Operation operation;  // worker_id is the owner; it stays after the end, until a resume
  std::int64_t heartbeat_sequence = 0;
  std::string cancel_reason;
  std::int64_t last_sequence = -1;  // the highest ever committed: sequence numbers never return
  Ending ended_by = Ending::kNone;
  std::string model_path, model_sha256;
  std::vector<CheckpointRef> dropped;          // by complete: the answer of its repeat
  std::optional<StoredCheckpoint> checkpoint;  // the current one; operation.checkpoint is its `info`
  Restart restart;

  bool is_claimed() const {
    return operation.status == api::OperationStatus::kRunning && operation.worker_id.has_value();
  }
  std::optional<CheckpointRef> current() const;
};

// True when this pair may write: rule 3.
bool holds_fence(const StoredOperation& stored, const Fence& fence);
// True when this pair was the last to own the operation, whatever became of it.
bool was_owner(const StoredOperation& stored, const Fence& fence);

// What this attempt does when it fails or falls silent; `rule.failed_at` is known.
bool has_failed_there_before(const StoredOperation& stored, const RestartRule& rule);
bool may_restart(const StoredOperation& stored, const RestartRule& rule);
// True when nothing came after the restart that this pair's `cause` led to: its repeat gets the same answer.
bool was_restarted_by(const StoredOperation& stored, const Fence& fence, Ending cause);
// Where a worker that fell silent was last heard of, if that tells of a batch (see end_orphan).
std::optional<BatchPosition> last_known_batch(const StoredOperation& stored);

// "1-3,1-4".
std::string join(const std::vector<CheckpointRef>& refs);
std::vector<CheckpointRef> split_refs(std::string_view text);

// JSON has no NaN and no infinity, and what was stored must be readable: what is not finite becomes 0 here
// where the wire type has no "absent". The percentage is kept in 0 to 100.
api::Progress storable(api::Progress progress);
api::EpochMetrics storable(api::EpochMetrics metrics);

// ---- sentences that end up in rows ----

std::string message_of_stop(const api::StoppedRequest& request);
std::string message_of_hand_over(const StoredOperation& stored);
// The failure's own message, and why it was not restarted, when it might have been.
std::string message_of_failure(const StoredOperation& stored, const std::string& message,
                               const RestartRule& rule);
std::string warning_of_orphan(const StoredOperation& stored);
std::string warning_of_rewind(const api::RewindRequest& request);
std::string reason_or_default(const std::string& cancel_reason);

}  // namespace ktrdr::storage
