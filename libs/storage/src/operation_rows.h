// How an operation and what belongs to it lie in the tables: the SELECTs, next to the mapping of their rows.
#pragma once

#include <optional>
#include <vector>

#include "database.h"
#include "refusals.h"
#include "stored_operation.h"

namespace ktrdr::storage {

// Without warnings and epochs. kNotFound; kIo when the row is damaged.
Result<StoredOperation> load_row(Source& source, const OperationId& id);
// A small part of it: no JSON is parsed. kNotFound; kIo when the row is damaged.
Result<Standing> load_standing(Source& source, const OperationId& id);
// With warnings and epochs.
Result<StoredOperation> load(Source& source, const OperationId& id);

// Without warnings and epochs. `rest` is the statement from WHERE on; the operations are `o`.
Result<std::vector<api::Operation>> load_rows(Session& session, std::string_view rest,
                                              const std::vector<Value>& parameters);

// The newest first.
Result<std::vector<StoredCheckpoint>> load_checkpoints(Session& session, const OperationId& id);
// The current checkpoint of each operation. `rest` is the statement from WHERE on; the operations are `o`,
// the checkpoints `c`.
Result<std::vector<OperationCheckpoint>> load_current_checkpoints(Session& session, std::string_view rest,
                                                                  const std::vector<Value>& parameters);
Result<void> insert_checkpoint(Session& session, const OperationId& id,
                               const api::CheckpointInfo& checkpoint);

// An epoch that is there already is replaced.
Result<void> store_epochs(Session& session, const OperationId& id,
                          const std::vector<api::EpochMetrics>& epochs);
// Those after the last completed epoch of the checkpoint; all, when it has none.
Result<void> rewind_epochs(Session& session, const OperationId& id,
                           const std::optional<StoredCheckpoint>& checkpoint);
// The same text is kept once.
Result<void> add_warnings(Session& session, const OperationId& id, const std::vector<std::string>& warnings);

// JSON of our own rows; other keys than today's are ignored, so that an older program's rows stay readable.
template <class T>
Result<T> read_stored(const std::string& json) {
  Result<T> value = api::from_json<T>(json, api::UnknownKeys::kIgnore);
  if (value.ok()) return value;
  return Error(ErrorCode::kIo,
               "The database holds a damaged row: " + value.error().message + " Restore it from a backup.");
}

}  // namespace ktrdr::storage
