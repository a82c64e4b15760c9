#include <algorithm>

#include "operation_rows.h"
#include "sql_operations_repository.h"

namespace ktrdr::storage {
namespace {

std::optional<CheckpointRef> ref_of(RowReader& row) {
  const auto attempt = row.optional_integer(), sequence = row.optional_integer();
  if (!attempt || !sequence) return std::nullopt;
  return CheckpointRef{*attempt, *sequence};
}

Pulse read_pulse(const Row& cells) {
  RowReader row(cells);
  Pulse pulse;
  pulse.id = {row.text()};
  pulse.attempt = row.integer();
  pulse.owner = WorkerId{row.text()};
  pulse.owner_name = row.text();
  pulse.heartbeat_sequence = row.integer();
  pulse.cancel_requested = row.flag();
  pulse.last_heartbeat_at = row.optional_text();
  pulse.current_checkpoint = ref_of(row);
  return pulse;
}

Waiting read_waiting(const Row& cells) {
  RowReader row(cells);
  Waiting waiting;
  waiting.id = {row.text()};
  waiting.attempt = row.integer();
  waiting.is_resume = row.optional_integer().has_value();
  waiting.restarts = row.integer();
  return waiting;
}

Result<std::vector<api::CheckpointInfo>> infos(Session& session, const OperationId& id) {
  TRY_ASSIGN(const auto stored, load_checkpoints(session, id));
  std::vector<api::CheckpointInfo> result;
  for (const StoredCheckpoint& checkpoint : stored) result.push_back(checkpoint.info);
  return result;
}

Result<api::TrainingRequest> load_request(Session& session, const OperationId& id) {
  TRY_ASSIGN(
      const Rows rows,
      session.execute("SELECT r.request, o.allow_changes FROM requests r"
                      " JOIN operations o ON o.operation_id = r.operation_id WHERE r.operation_id = $1",
                      {id.value}));
  if (rows.empty()) {
    return Error(ErrorCode::kIo,
                 "The database lost the request of operation " + id.value + "; restore it from a backup.");
  }
  RowReader row(rows.front());
  TRY_ASSIGN(auto request, read_stored<api::TrainingRequest>(row.text()));
  request.allow_changes = row.flag();
  return request;
}

}  // namespace

Result<api::Operation> SqlOperationsRepository::get(const OperationId& id) {
  TRY_ASSIGN(StoredOperation stored, load(*database_, id));
  return std::move(stored.operation);
}

Result<api::TrainingJob> SqlOperationsRepository::job(const OperationId& id) {
  return read_job<api::TrainingJob>(*database_, [&](Session& session) -> Result<api::TrainingJob> {
    TRY_ASSIGN(const StoredOperation stored, load_row(session, id));
    api::TrainingJob job{.operation_id = id.value,
                         .attempt = stored.operation.attempt,
                         .status = stored.operation.status,
                         .claimed = stored.is_claimed(),
                         .progress = stored.operation.progress};
    TRY_ASSIGN(job.request, load_request(session, id));
    TRY_ASSIGN(job.checkpoints, infos(session, id));
    return job;
  });
}

Result<std::vector<Pulse>> SqlOperationsRepository::pulses() {
  return read_job<std::vector<Pulse>>(*database_, [](Session& session) -> Result<std::vector<Pulse>> {
    TRY_ASSIGN(const Rows rows,
               session.execute("SELECT operation_id, attempt, owner, owner_name, heartbeat_sequence,"
                               " cancel_requested, last_heartbeat_at, checkpoint_attempt, checkpoint_sequence"
                               " FROM operations WHERE status = 'running'"
                               " AND owner IS NOT NULL ORDER BY created_at, operation_id",
                               {}));
    std::vector<Pulse> pulses;
    for (const Row& row : rows) pulses.push_back(read_pulse(row));
    return pulses;
  });
}

// The condition is that of the index on waiting rows, word for word: SQLite reads the oldest straight from
// it. Every ended operation has completed_at, by a CHECK of the table.
Result<std::vector<Waiting>> SqlOperationsRepository::waiting(std::int64_t limit) {
  return read_job<std::vector<Waiting>>(*database_, [&](Session& session) -> Result<std::vector<Waiting>> {
    TRY_ASSIGN(const Rows rows,
               session.execute("SELECT operation_id, attempt, checkpoint_sequence,"
                               " CASE WHEN restart_cause = 'stopped' THEN 0 ELSE restarts END"
                               " FROM operations"
                               " WHERE owner IS NULL AND completed_at IS NULL"
                               " ORDER BY created_at, operation_id LIMIT $1",
                               {std::max<std::int64_t>(limit, 0)}));
    std::vector<Waiting> waiting;
    for (const Row& row : rows) waiting.push_back(read_waiting(row));
    return waiting;
  });
}

Result<std::vector<api::CheckpointInfo>> SqlOperationsRepository::checkpoints(const OperationId& id) {
  using Infos = std::vector<api::CheckpointInfo>;
  return read_job<Infos>(*database_, [&](Session& session) -> Result<Infos> {
    TRY(load_row(session, id));
    return infos(session, id);
  });
}

Result<OperationsRepository::Keep> SqlOperationsRepository::keep(const OperationId& id) {
  return read_job<Keep>(*database_, [&](Session& session) -> Result<Keep> {
    Keep keep;
    TRY_ASSIGN(const auto stored, load_checkpoints(session, id));
    for (const StoredCheckpoint& checkpoint : stored) keep.refs.push_back(checkpoint.info.ref);
    TRY_ASSIGN(
        const Rows rows,
        session.execute("SELECT attempt FROM operations WHERE operation_id = $1 AND status = 'running'",
                        {id.value}));
    if (!rows.empty()) keep.whole_attempt = RowReader(rows.front()).integer();
    return keep;
  });
}

}  // namespace ktrdr::storage
