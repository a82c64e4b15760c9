#include <algorithm>
#include <functional>

#include "operation_rows.h"
#include "refusals.h"
#include "sql_events.h"
#include "sql_operations_repository.h"

namespace ktrdr::storage {
namespace {

// Of one kind of request by one client: what was asked under this key, and what was answered.
struct KeyedRequest {
  const std::optional<IdempotencyKey>& key;
  std::string kind;
  OperationId id;
  bool names_its_operation;  // a start gets a new id each time it is sent
};

// The stored answer to this request; nothing when its key is new.
Result<std::optional<api::Operation>> stored_answer(Session& session, const KeyedRequest& request) {
  TRY_ASSIGN(const Rows rows,
             session.execute("SELECT kind, request_hash, operation_id, answer FROM idempotency_keys"
                             " WHERE idempotency_key = $1",
                             {request.key->key}));
  if (rows.empty()) return std::optional<api::Operation>();
  RowReader row(rows.front());
  const bool is_same = row.text() == request.kind && row.text() == request.key->request_hash;
  const bool is_same_operation = row.text() == request.id.value || !request.names_its_operation;
  if (!is_same || !is_same_operation) return refuse_reused_key();
  TRY_ASSIGN(api::Operation answer, read_stored<api::Operation>(row.text()));
  return std::optional(std::move(answer));
}

// The stored answer, when this request was here before. The key is inserted first and the change follows in
// the same transaction, so of two at once, also in two servers, the second waits here and then finds the
// answer.
Result<std::optional<api::Operation>> answered_before(Session& session, const KeyedRequest& request,
                                                      const std::string& now) {
  if (!request.key) return std::optional<api::Operation>();
  TRY_ASSIGN(
      const bool is_new,
      matches(session,
              "INSERT INTO idempotency_keys (idempotency_key, kind, request_hash, operation_id, answer,"
              " created_at) VALUES ($1, $2, $3, $4, '', $5)"
              " ON CONFLICT (idempotency_key) DO NOTHING RETURNING idempotency_key",
              {request.key->key, request.kind, request.key->request_hash, request.id.value, now}));
  if (is_new) return std::optional<api::Operation>();
  TRY_ASSIGN(auto answer, stored_answer(session, request));
  if (!answer) return refuse_reused_key();  // forgotten at this very moment
  return answer;
}

Result<void> remember_answer(Session& session, const KeyedRequest& request, const api::Operation& answer) {
  if (!request.key) return {};
  TRY(session.execute("UPDATE idempotency_keys SET answer = $2 WHERE idempotency_key = $1",
                      {request.key->key, api::to_json(answer)}));
  return {};
}

Result<void> insert_operation(Session& session, const NewOperation& operation, const std::string& now) {
  TRY_ASSIGN(const bool inserted,
             matches(session,
                     "INSERT INTO operations (operation_id, operation_type, status, phase, attempt, version,"
                     " created_at, allow_changes, metadata, progress)"
                     " VALUES ($1, $2, 'pending', 'queued', 1, 1, $3, $4, $5, $6)"
                     " ON CONFLICT (operation_id) DO NOTHING RETURNING operation_id",
                     {operation.id.value, operation.operation_type, now, operation.request.allow_changes,
                      api::to_json(operation.metadata), api::to_json(api::Progress{})}));
  if (!inserted) return refuse_existing(operation.id);
  TRY(session.execute("INSERT INTO requests (operation_id, request) VALUES ($1, $2)",
                      {operation.id.value, api::to_json(operation.request)}));
  return {};
}

// True when the row to retry was failed or cancelled, and the new id new.
Result<bool> copy_operation(Session& session, const OperationId& id, const OperationId& new_id,
                            const Precondition& precondition, const std::string& now) {
  TRY_ASSIGN(const bool copied,
             matches(session,
                     "INSERT INTO operations (operation_id, operation_type, status, phase, attempt, version,"
                     " created_at, metadata, progress, parent_operation_id)"
                     " SELECT $1, operation_type, 'pending', 'queued', 1, 1, $2, metadata, $3, operation_id"
                     " FROM operations WHERE operation_id = $4 AND status IN ('cancelled', 'failed')"
                     " AND version = COALESCE($5, version)"
                     " ON CONFLICT (operation_id) DO NOTHING RETURNING operation_id",
                     {new_id.value, now, api::to_json(api::Progress{}), id.value,
                      or_null(precondition.if_version)}));
  if (!copied) return false;
  TRY(
      session.execute("INSERT INTO requests (operation_id, request)"
                      " SELECT $1, request FROM requests WHERE operation_id = $2",
                      {new_id.value, id.value}));
  return true;
}

Result<Resumed> resumed_from(const StoredOperation& stored, bool replayed) {
  if (!stored.operation.checkpoint) {  // a damaged row: its pointer names a checkpoint that is not there
    return Error(ErrorCode::kIo,
                 "The database holds a damaged row: its checkpoint is missing. Restore it from a backup.");
  }
  return Resumed{stored.operation, *stored.operation.checkpoint, replayed};
}

}  // namespace

Result<bool> matches(Session& session, std::string_view sql, const std::vector<Value>& parameters) {
  TRY_ASSIGN(const Rows rows, session.execute(sql, parameters));
  CHECK(rows.size() <= 1, "a change names its row by its key");
  return !rows.empty();
}

Result<std::optional<api::Operation>> SqlOperationsRepository::created_before(const IdempotencyKey& key) {
  const std::optional<IdempotencyKey> given(key);
  const KeyedRequest request{given, "create", {}, false};
  return read_job<std::optional<api::Operation>>(
      *database_, [&](Session& session) { return stored_answer(session, request); });
}

Result<Created> SqlOperationsRepository::create(const NewOperation& operation,
                                                const std::optional<IdempotencyKey>& key) {
  const KeyedRequest request{key, "create", operation.id, false};
  return write_job<Created>(*database_, [&](Session& session) -> Result<Created> {
    TRY_ASSIGN(auto before, answered_before(session, request, now()));
    if (before) return Created{std::move(*before), true};
    TRY(insert_operation(session, operation, now()));
    TRY_ASSIGN(StoredOperation stored, load(session, operation.id));
    TRY(append_event(session, stored, event_of_create(stored), now()));
    TRY(remember_answer(session, request, stored.operation));
    return Created{std::move(stored.operation), false};
  });
}

Result<Created> SqlOperationsRepository::retry(const OperationId& id, const OperationId& new_id,
                                               const Precondition& precondition,
                                               const std::optional<IdempotencyKey>& key) {
  const KeyedRequest request{key, "retry", id, true};
  return write_job<Created>(*database_, [&](Session& session) -> Result<Created> {
    TRY_ASSIGN(auto before, answered_before(session, request, now()));
    if (before) return Created{std::move(*before), true};
    TRY_ASSIGN(const bool copied, copy_operation(session, id, new_id, precondition, now()));
    if (!copied) {
      TRY_ASSIGN(const StoredOperation stored, load_row(session, id));
      return refuse_retry(stored, new_id, precondition);
    }
    TRY_ASSIGN(StoredOperation stored, load(session, new_id));
    TRY(append_event(session, stored, event_of_create(stored), now()));
    TRY(remember_answer(session, request, stored.operation));
    return Created{std::move(stored.operation), false};
  });
}

// What this sees was so after the request had come, so a refusal that it gives is right, and it takes no turn
// among the writers. It never accepts: whatever else there is to say, the UPDATE says.
Result<void> SqlOperationsRepository::refuse_what_runs(const OperationId& id,
                                                       const Precondition& precondition) {
  TRY_ASSIGN(const Standing standing, load_standing(*database_, id));
  if (auto refused = refuse_resume(standing, precondition)) return *refused;
  return {};
}

// Of those that would resume one operation at once one goes ahead, and the others look again when it is done:
// nearly always they are refused then, instead of waiting for the row's lock, failing and being run again. No
// guard: the UPDATE decides, also between servers.
Result<std::unique_lock<std::mutex>> SqlOperationsRepository::turn_to_resume(
    const OperationId& id, const Precondition& precondition) {
  std::mutex& mutex = resume_turns_[std::hash<std::string>()(id.value) % resume_turns_.size()];
  for (;;) {
    std::unique_lock(mutex).unlock();  // until whoever is ahead is done
    TRY(refuse_what_runs(id, precondition));
    if (std::unique_lock turn(mutex, std::try_to_lock); turn) return turn;
  }
}

Result<Resumed> SqlOperationsRepository::try_resume(const OperationId& id, bool allow_changes,
                                                    const Precondition& precondition,
                                                    const std::optional<IdempotencyKey>& key) {
  std::unique_lock<std::mutex> turn;
  if (!key) {
    TRY_ASSIGN(turn, turn_to_resume(id, precondition));
  }
  const KeyedRequest request{key, "resume", id, true};
  return write_job<Resumed>(*database_, [&](Session& session) -> Result<Resumed> {
    TRY_ASSIGN(auto before, answered_before(session, request, now()));
    if (before) return resumed_from({.operation = std::move(*before)}, true);
    TRY_ASSIGN(const bool resumed,
               matches(session,
                       "UPDATE operations SET status = 'running', phase = 'queued', attempt = attempt + 1,"
                       " version = version + 1, started_at = $2, completed_at = NULL, error_message = NULL,"
                       " owner = NULL, owner_name = '', heartbeat_sequence = 0, last_heartbeat_at = NULL,"
                       " cancel_requested = 0, cancel_reason = '', ended_by = '', allow_changes = $3,"
                       " restarts = 0, restart_cause = '', restart_reason = NULL, restarted_worker = '',"
                       " failed_epoch = -1, failed_batch = -1"
                       " WHERE operation_id = $1 AND status IN ('cancelled', 'failed')"
                       " AND checkpoint_sequence IS NOT NULL AND version = COALESCE($4, version)"
                       " RETURNING operation_id",
                       {id.value, now(), allow_changes, or_null(precondition.if_version)}));
    if (!resumed) {
      TRY_ASSIGN(const StoredOperation refused, load_row(session, id));
      return refuse_resume(refused, precondition);
    }
    TRY_ASSIGN(const StoredOperation stored, load(session, id));
    TRY(append_event(session, stored, event_of_resume(stored, allow_changes), now()));
    TRY(remember_answer(session, request, stored.operation));
    return resumed_from(stored, false);
  });
}

Result<api::Operation> SqlOperationsRepository::request_cancel(const OperationId& id,
                                                               const std::string& reason,
                                                               const Precondition& precondition) {
  return write_job<api::Operation>(*database_, [&](Session& session) -> Result<api::Operation> {
    // One statement decides between "at once" and "ask its worker": a claim may come at any moment.
    TRY_ASSIGN(
        const bool changed,
        matches(session,
                "UPDATE operations SET version = version + 1, cancel_requested = 1, cancel_reason = $2,"
                " status = CASE WHEN owner IS NULL THEN 'cancelled' ELSE status END,"
                " phase = CASE WHEN owner IS NULL THEN 'none' ELSE 'cancelling' END,"
                " completed_at = CASE WHEN owner IS NULL THEN $3 ELSE completed_at END,"
                " error_message = CASE WHEN owner IS NULL THEN $2 ELSE error_message END,"
                " ended_by = CASE WHEN owner IS NULL THEN 'cancel' ELSE ended_by END"
                " WHERE operation_id = $1 AND status IN ('pending', 'running')"
                " AND cancel_requested = 0 AND version = COALESCE($4, version) RETURNING operation_id",
                {id.value, reason_or_default(reason), now(), or_null(precondition.if_version)}));
    TRY_ASSIGN(StoredOperation stored, load(session, id));
    if (!changed) {
      if (auto refused = refuse_cancel(stored, precondition)) return *refused;
    } else {
      TRY(append_event(session, stored, event_of_cancel_request(stored), now()));
    }
    return std::move(stored.operation);
  });
}

Result<std::vector<CheckpointRef>> delete_checkpoints(Session& session, std::string_view sql,
                                                      const std::vector<Value>& parameters) {
  TRY_ASSIGN(const Rows rows, session.execute(sql, parameters));
  std::vector<CheckpointRef> refs;
  for (const Row& cells : rows) {
    RowReader row(cells);
    const Attempt attempt = row.integer();
    refs.push_back({attempt, row.integer()});
  }
  std::sort(refs.begin(), refs.end());  // sequence numbers grow through all attempts
  return refs;
}

Result<Committed> SqlOperationsRepository::drop_checkpoints(const OperationId& id,
                                                            const Precondition& precondition) {
  return write_job<Committed>(*database_, [&](Session& session) -> Result<Committed> {
    TRY_ASSIGN(const bool cleared,
               matches(session,
                       "UPDATE operations SET checkpoint_attempt = NULL, checkpoint_sequence = NULL,"
                       " version = version + 1"
                       " WHERE operation_id = $1 AND status IN ('completed', 'failed', 'cancelled')"
                       " AND checkpoint_sequence IS NOT NULL AND version = COALESCE($2, version)"
                       " RETURNING operation_id",
                       {id.value, or_null(precondition.if_version)}));
    if (!cleared) {
      TRY_ASSIGN(const StoredOperation stored, load_row(session, id));
      return refuse_drop(stored, precondition);
    }
    TRY_ASSIGN(std::vector<CheckpointRef> dropped,
               delete_checkpoints(
                   session, "DELETE FROM checkpoints WHERE operation_id = $1 RETURNING attempt, sequence",
                   {id.value}));
    TRY_ASSIGN(const StoredOperation stored, load_row(session, id));
    TRY(append_event(session, stored, event_of_drop(dropped), now()));
    return Committed{std::move(dropped), stored.operation.version};
  });
}

Result<std::int64_t> SqlOperationsRepository::forget_idempotency_keys(std::int64_t older_than_wall_ms) {
  // In pieces, so that heartbeats get their turn in between.
  constexpr std::int64_t kPiece = 1000;
  std::int64_t forgotten = 0, last = 0;
  do {
    TRY_ASSIGN(last, write_job<std::int64_t>(*database_, [&](Session& session) -> Result<std::int64_t> {
                 TRY_ASSIGN(
                     const Rows rows,
                     session.execute("DELETE FROM idempotency_keys WHERE idempotency_key IN"
                                     " (SELECT idempotency_key FROM idempotency_keys WHERE created_at < $1"
                                     " ORDER BY created_at LIMIT $2) RETURNING idempotency_key",
                                     {iso8601_utc(older_than_wall_ms), kPiece}));
                 return static_cast<std::int64_t>(rows.size());
               }));
    forgotten += last;
  } while (last == kPiece);
  return forgotten;
}

}  // namespace ktrdr::storage
