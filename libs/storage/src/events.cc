#include "events.h"

namespace ktrdr::storage {
namespace {

using api::EventKind;

// A message of a worker may be a whole traceback; the operation's row keeps all of it.
constexpr std::size_t kLongestMessage = 2000;

std::string shortened(std::string text) {
  if (text.size() <= kLongestMessage) return text;
  std::size_t end = kLongestMessage;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // no half character
  return text.substr(0, end) + " ...";
}

// Epochs as people count them, from 1.
std::string position_of(const api::CheckpointInfo& checkpoint) {
  const std::string next = std::to_string(checkpoint.start_epoch + 1);
  if (checkpoint.start_batch > 0)
    return "epoch " + next + ", batch " + std::to_string(checkpoint.start_batch);
  return checkpoint.start_epoch == 0 ? "before epoch 1" : "epoch " + std::to_string(checkpoint.start_epoch);
}

std::string describe(const api::CheckpointInfo& checkpoint) {
  return std::string(to_string(checkpoint.checkpoint_type)) + ", " + position_of(checkpoint);
}

std::string error_of(const StoredOperation& row) { return row.operation.error_message.value_or(""); }

std::string joined(const std::string& sentence, const std::optional<std::string>& another) {
  return another && !another->empty() ? sentence + " " + *another : sentence;
}

// What would have ended the attempt led to the next one.
bool was_restarted(const StoredOperation& row) {
  return row.operation.status == api::OperationStatus::kRunning;
}

Event event_of_restart(const StoredOperation& row) {
  return {EventKind::kRestarted, row.current(), row.operation.restart_reason.value_or("")};
}

}  // namespace

Event event_of_create(const StoredOperation& row) {
  const auto& parent = row.operation.parent_operation_id;
  return {EventKind::kCreated, std::nullopt, parent ? "A retry of " + *parent + "." : ""};
}

Event event_of_claim(const StoredOperation& row) { return {EventKind::kClaimed, row.current(), ""}; }

Event event_of_commit(const api::CheckpointInfo& checkpoint) {
  return {EventKind::kCheckpoint, checkpoint.ref, describe(checkpoint)};
}

Event event_of_rewind(const api::RewindRequest& request) {
  return {EventKind::kRewound, request.previous, warning_of_rewind(request)};
}

Event event_of_resume(const StoredOperation& row, bool allow_changes) {
  std::string from = row.checkpoint ? "From " + describe(row.checkpoint->info) : "";
  if (allow_changes) from += "; allowed to go on with another strategy, data or engine";
  return {EventKind::kResumed, row.current(), from};
}

Event event_of_cancel_request(const StoredOperation& row) {
  const bool at_once = row.operation.status == api::OperationStatus::kCancelled;
  return {at_once ? EventKind::kCancelled : EventKind::kCancelRequested, row.current(), row.cancel_reason};
}

Event event_of_stop(const StoredOperation& row, const api::StoppedRequest& request) {
  if (was_restarted(row)) {
    return {EventKind::kRestarted, row.current(),
            joined(row.operation.restart_reason.value_or(""), request.warning)};
  }
  const bool is_release = request.reason == api::StopReason::kShutdown && !row.operation.cancel_requested;
  return {is_release ? EventKind::kReleased : EventKind::kCancelled, row.current(),
          joined(error_of(row), request.warning)};
}

Event event_of_failure(const StoredOperation& row) {
  if (was_restarted(row)) return event_of_restart(row);
  return {EventKind::kFailed, row.current(), error_of(row)};
}

Event event_of_orphan(const StoredOperation& row) {
  if (was_restarted(row)) return event_of_restart(row);
  const bool was_cancelled = row.operation.status == api::OperationStatus::kCancelled;
  return {EventKind::kLeaseLapsed, row.current(), was_cancelled ? warning_of_orphan(row) : error_of(row)};
}

Event event_of_complete(const StoredOperation& row) {
  return {EventKind::kCompleted, std::nullopt, "Model " + row.model_path + ", SHA-256 " + row.model_sha256};
}

Event event_of_drop(const std::vector<CheckpointRef>& dropped) {
  return {EventKind::kCheckpointsDeleted, std::nullopt, join(dropped)};
}

api::OperationEvent entry_of(const StoredOperation& row, Event event, const std::string& now) {
  const api::Operation& operation = row.operation;
  api::OperationEvent entry{.at = now,
                            .kind = event.kind,
                            .status = operation.status,
                            .attempt = operation.attempt,
                            .version = operation.version,
                            .checkpoint = event.checkpoint,
                            .message = shortened(std::move(event.message))};
  const bool concerns_worker = event.kind != EventKind::kCheckpointsDeleted;  // its owner has long gone
  if (!concerns_worker) return entry;
  entry.worker_id = operation.worker_id;
  entry.worker_name = operation.worker_name;
  if (event.kind == EventKind::kRestarted) entry.worker_id = row.restart.worker;
  return entry;
}

}  // namespace ktrdr::storage
