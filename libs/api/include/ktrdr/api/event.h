// What happened to an operation: one entry of its history for every accepted change of it, in the order of
// the changes, never changed afterwards. A repeat that changed nothing and a refused request add none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/api/operation.h"

namespace ktrdr::api {

enum class EventKind {
  kCreated,
  kClaimed,
  kCheckpoint,
  kRewound,
  kCancelRequested,  // of a claimed operation: its worker is asked to stop
  kCancelled,
  kFailed,
  kLeaseLapsed,  // its worker fell silent; failed, or cancelled where that was requested
  kReleased,     // its worker was shut down and handed it back
  kResumed,
  kRestarted,  // without anybody asking: the attempt before failed, fell silent or was handed back
  kCompleted,
  kCheckpointsDeleted,  // on command or because of their age; a completion drops its own
};
std::string_view to_string(EventKind kind);
std::optional<EventKind> parse_event_kind(std::string_view text);

struct OperationEvent {
  std::int64_t sequence = 0;  // in the operation, from 1; grows, and skips where old checkpoints were dropped
  std::string at;             // ISO-8601, the server's clock
  EventKind kind = EventKind::kCreated;
  OperationStatus status = OperationStatus::kPending;  // what the change led to, likewise:
  std::int64_t attempt = 0, version = 0;
  std::optional<std::string> worker_id, worker_name;  // whose attempt it was; of a restart, the one before
  std::optional<CheckpointRef> checkpoint;            // committed, gone back to, or gone on from
  std::string message;                                // why, for people; may be empty
  bool operator==(const OperationEvent&) const = default;
};

struct EventsData {
  std::string operation_id;
  std::vector<OperationEvent> events;  // oldest first
  std::int64_t last_sequence = 0;      // of the newest event there is; 0 when nothing is known
};

// The last word of an event stream: the operation is finished, and all was told. It may be resumed later.
struct EventsEnd {
  std::string operation_id;
  OperationStatus status = OperationStatus::kCompleted;
};

struct EventsResponse {
  bool success = true;
  EventsData data;
};

}  // namespace ktrdr::api
