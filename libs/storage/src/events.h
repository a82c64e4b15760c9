// What an operation's history says of each kind of change, for every store: a store appends the event of a
// change in the change's own transaction, when the change was made and only then. `row` is always the
// operation as the change left it.
#pragma once

#include "stored_operation.h"

namespace ktrdr::storage {

struct Event {
  api::EventKind kind;
  std::optional<CheckpointRef> checkpoint;
  std::string message;
};

Event event_of_create(const StoredOperation& row);  // also of retry, for the new operation
Event event_of_claim(const StoredOperation& row);
Event event_of_commit(const api::CheckpointInfo& checkpoint);
Event event_of_rewind(const api::RewindRequest& request);
Event event_of_resume(const StoredOperation& row, bool allow_changes);
Event event_of_cancel_request(const StoredOperation& row);
Event event_of_stop(const StoredOperation& row, const api::StoppedRequest& request);
Event event_of_failure(const StoredOperation& row);
Event event_of_orphan(const StoredOperation& row);
Event event_of_complete(const StoredOperation& row);
Event event_of_drop(const std::vector<CheckpointRef>& dropped);

// The entry of the history: the event, and what of the row belongs to it. The store numbers it.
api::OperationEvent entry_of(const StoredOperation& row, Event event, const std::string& now);

}  // namespace ktrdr::storage
