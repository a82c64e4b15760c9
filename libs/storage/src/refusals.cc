#include "refusals.h"

namespace ktrdr::storage {
namespace {

using api::OperationStatus;

std::string name_of(const StoredOperation& stored) { return "Operation " + stored.operation.operation_id; }

Error conflict(const OperationId& id, const std::string& rest) {
  return {ErrorCode::kConflict, "Operation " + id.value + " " + rest};
}

Error conflict(const StoredOperation& stored, const std::string& rest) {
  return conflict(OperationId{stored.operation.operation_id}, rest);
}

Error stale(const StoredOperation& stored, const std::string& rest) {
  return {ErrorCode::kStale, name_of(stored) + " " + rest};
}

// Only with a store that lets others write between the change and this look at the row.
Error changed_meanwhile(const StoredOperation& stored) {
  return conflict(stored, "changed at this very moment; try again.");
}

std::string already(OperationStatus status) {
  return status == OperationStatus::kFailed ? "has already failed"
                                            : "is already " + std::string(to_string(status));
}

std::optional<Error> refuse_version(const Standing& standing, const Precondition& precondition) {
  const std::int64_t version = standing.version;
  if (precondition.if_version.value_or(version) == version) return std::nullopt;
  return Error(ErrorCode::kPreconditionFailed,
               "Operation " + standing.id.value + " is at version " + std::to_string(version) + ", not " +
                   std::to_string(*precondition.if_version) + "; read it again before changing it.");
}

Standing standing_of(const StoredOperation& stored) {
  return {{stored.operation.operation_id}, stored.operation.status, stored.operation.version};
}

std::optional<Error> refuse_attempt(const StoredOperation& stored, Attempt attempt) {
  if (stored.operation.attempt == attempt) return std::nullopt;
  return stale(stored, "is at attempt " + std::to_string(stored.operation.attempt) + "; attempt " +
                           std::to_string(attempt) + " must stop.");
}

}  // namespace

Error refuse_unknown(const OperationId& id) {
  return {ErrorCode::kNotFound, "Operation " + id.value + " was not found."};
}

Error refuse_existing(const OperationId& id) {
  return {ErrorCode::kConflict, "Operation " + id.value + " exists already; choose another id."};
}

Error refuse_reused_key() {
  return {ErrorCode::kConflict,
          "This Idempotency-Key was used for another request; use a new key for a new request."};
}

std::optional<Error> refuse_resume(const Standing& standing, const Precondition& precondition) {
  if (auto refused = refuse_version(standing, precondition)) return refused;
  switch (standing.status) {
    case OperationStatus::kRunning: return conflict(standing.id, "is already running.");
    case OperationStatus::kCompleted:
      return conflict(standing.id, "is already completed; there is nothing to resume.");
    case OperationStatus::kPending:
      return conflict(standing.id, "has not started yet: cannot resume a pending operation.");
    case OperationStatus::kFailed:
    case OperationStatus::kCancelled: break;
  }
  return std::nullopt;
}

Error refuse_resume(const StoredOperation& stored, const Precondition& precondition) {
  if (auto refused = refuse_resume(standing_of(stored), precondition)) return *refused;
  if (stored.checkpoint) return changed_meanwhile(stored);
  return {ErrorCode::kCheckpointNotFound,
          name_of(stored) + " has no checkpoint to resume from; use retry to start it again."};
}

Error refuse_retry(const StoredOperation& stored, const OperationId& new_id,
                   const Precondition& precondition) {
  if (auto refused = refuse_version(standing_of(stored), precondition)) return *refused;
  if (is_resumable(stored.operation.status)) return refuse_existing(new_id);
  return conflict(stored, "is " + std::string(to_string(stored.operation.status)) +
                              "; only a failed or cancelled operation can be retried.");
}

std::optional<Error> refuse_claim(const StoredOperation& stored, const Fence& fence) {
  if (holds_fence(stored, fence)) return std::nullopt;
  if (auto refused = refuse_attempt(stored, fence.attempt)) return refused;
  if (is_finished(stored.operation.status)) {
    return conflict(stored, already(stored.operation.status) + "; it can't be claimed.");
  }
  if (stored.is_claimed()) return conflict(stored, "was claimed by another worker.");
  return changed_meanwhile(stored);
}

Error refuse_fence(const StoredOperation& stored, const Fence& fence) {
  if (auto refused = refuse_attempt(stored, fence.attempt)) return *refused;
  if (stored.operation.status != OperationStatus::kRunning) {
    return stale(stored, "is " + std::string(to_string(stored.operation.status)) +
                             ", not running; this worker must stop.");
  }
  if (!stored.operation.worker_id) return stale(stored, "is not claimed; this worker must stop.");
  return stale(stored, "belongs to another worker; this worker must stop.");
}

std::optional<Error> refuse_commit(const StoredOperation& stored, const Fence& fence,
                                   const api::CheckpointInfo& checkpoint) {
  if (!holds_fence(stored, fence)) return refuse_fence(stored, fence);
  api::CheckpointInfo same = checkpoint;
  if (stored.checkpoint) same.created_at = stored.checkpoint->info.created_at;  // the server's clock made it
  if (stored.checkpoint && stored.checkpoint->info == same) return std::nullopt;
  const auto current = stored.current();
  return conflict(stored, "did not take checkpoint " + checkpoint.ref.to_string() +
                              ": the current checkpoint is " + (current ? current->to_string() : "none") +
                              ", the last sequence number " + std::to_string(stored.last_sequence) + ".");
}

std::optional<Error> refuse_rewind(const StoredOperation& stored, const Fence& fence,
                                   const api::RewindRequest& request) {
  if (!holds_fence(stored, fence)) return refuse_fence(stored, fence);
  const auto current = stored.current();
  if (current == request.previous && stored.checkpoint->rewound_from == request.bad) return std::nullopt;
  return conflict(stored, "can't go back from checkpoint " + request.bad.to_string() + " to " +
                              request.previous.to_string() + ": the current checkpoint is " +
                              (current ? current->to_string() : "none") + ".");
}

std::optional<Error> refuse_complete(const StoredOperation& stored, const api::CompleteRequest& request) {
  const Fence fence{request.attempt, {request.worker_id}};
  const bool is_repeat = stored.ended_by == Ending::kCompleted && was_owner(stored, fence) &&
                         stored.model_sha256 == request.model_sha256;
  if (is_repeat) return std::nullopt;
  return refuse_fence(stored, fence);
}

std::optional<Error> refuse_fail(const StoredOperation& stored, const Fence& fence,
                                 const std::string& message) {
  // The row may say after it why there was no restart.
  const bool is_repeat = stored.ended_by == Ending::kFailed && was_owner(stored, fence) &&
                         stored.operation.error_message.value_or("").starts_with(message);
  const bool was_restarted =
      was_restarted_by(stored, fence, Ending::kFailed) && stored.operation.restart_reason == message;
  if (is_repeat || was_restarted) return std::nullopt;
  return refuse_fence(stored, fence);
}

std::optional<Error> refuse_stopped(const StoredOperation& stored, const Fence& fence) {
  if (stored.ended_by == Ending::kStopped && was_owner(stored, fence)) return std::nullopt;
  if (was_restarted_by(stored, fence, Ending::kStopped)) return std::nullopt;
  return refuse_fence(stored, fence);
}

std::optional<Error> refuse_fail_unclaimed(const StoredOperation& stored, Attempt attempt,
                                           const std::string& message) {
  if (auto refused = refuse_attempt(stored, attempt)) return refused;
  if (stored.ended_by == Ending::kFailedUnclaimed && stored.operation.error_message == message) {
    return std::nullopt;
  }
  if (stored.is_claimed()) return conflict(stored, "was claimed by a worker meanwhile.");
  return conflict(stored,
                  "is " + std::string(to_string(stored.operation.status)) + ", not waiting to be resumed.");
}

std::optional<Error> refuse_cancel(const StoredOperation& stored, const Precondition& precondition) {
  if (auto refused = refuse_version(standing_of(stored), precondition)) return refused;
  if (is_finished(stored.operation.status)) {
    return conflict(stored, already(stored.operation.status) + "; there is nothing to cancel.");
  }
  if (stored.operation.cancel_requested) return std::nullopt;
  return changed_meanwhile(stored);
}

Error refuse_drop(const StoredOperation& stored, const Precondition& precondition) {
  if (auto refused = refuse_version(standing_of(stored), precondition)) return *refused;
  if (!is_finished(stored.operation.status)) {
    return conflict(stored, "is " + std::string(to_string(stored.operation.status)) +
                                "; cancel it before its checkpoints are deleted.");
  }
  if (stored.checkpoint) return changed_meanwhile(stored);
  return {ErrorCode::kCheckpointNotFound,
          "The checkpoint of operation " + stored.operation.operation_id + " was not found: it has none."};
}

Result<void> check_commit(const Fence& fence, const api::CheckpointInfo& checkpoint) {
  if (checkpoint.ref.attempt == fence.attempt && checkpoint.ref.sequence >= 0) return {};
  return Error(ErrorCode::kInvalidArgument, "Checkpoint " + checkpoint.ref.to_string() +
                                                " is not of attempt " + std::to_string(fence.attempt) +
                                                "; a worker commits only what it wrote itself.");
}

}  // namespace ktrdr::storage
