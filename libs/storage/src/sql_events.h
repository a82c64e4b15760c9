// The history of an operation in its table, for the methods of SqlOperationsRepository.
#pragma once

#include "database.h"
#include "events.h"

namespace ktrdr::storage {

// In the transaction of the change, after it: the operation's row is locked by then, so numbers don't
// collide.
Result<void> append_event(Session& session, const StoredOperation& row, Event event, const std::string& now);

}  // namespace ktrdr::storage
