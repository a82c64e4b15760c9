#include "operation_rows.h"
#include "refusals.h"
#include "sql_events.h"
#include "sql_operations_repository.h"

namespace ktrdr::storage {
namespace {

constexpr std::int64_t kNone =
    -1;  // in a comparison with a pointer; attempts and sequences are never negative

Result<void> forget_rewound_epochs(Session& session, const OperationId& id) {
  TRY_ASSIGN(const StoredOperation stored, load_row(session, id));
  return rewind_epochs(session, id, stored.checkpoint);
}

// All but the newest two. What went is kept with the new row, as the answer to a repeat of its commit.
Result<void> drop_older(Session& session, const OperationId& id, const CheckpointRef& newest) {
  TRY_ASSIGN(const std::vector<CheckpointRef> dropped,
             delete_checkpoints(session,
                                "DELETE FROM checkpoints WHERE operation_id = $1 AND sequence <"
                                " (SELECT sequence FROM checkpoints WHERE operation_id = $1"
                                " ORDER BY sequence DESC LIMIT 1 OFFSET 1) RETURNING attempt, sequence",
                                {id.value}));
  TRY(session.execute(
      "UPDATE checkpoints SET dropped = $4 WHERE operation_id = $1 AND attempt = $2 AND sequence = $3",
      {id.value, newest.attempt, newest.sequence, join(dropped)}));
  return {};
}

Result<void> give_up_checkpoint(Session& session, const OperationId& id, const api::RewindRequest& request) {
  TRY(session.execute("DELETE FROM checkpoints WHERE operation_id = $1 AND attempt = $2 AND sequence = $3",
                      {id.value, request.bad.attempt, request.bad.sequence}));
  TRY(session.execute(
      "UPDATE checkpoints SET rewound_from = $4 WHERE operation_id = $1 AND attempt = $2 AND sequence = $3",
      {id.value, request.previous.attempt, request.previous.sequence, request.bad.to_string()}));
  TRY(add_warnings(session, id, {warning_of_rewind(request)}));
  return forget_rewound_epochs(session, id);
}

}  // namespace

Result<Claimed> SqlOperationsRepository::claim(const OperationId& id, const Fence& fence,
                                               const std::string& worker_name) {
  return write_job<Claimed>(*database_, [&](Session& session) -> Result<Claimed> {
    TRY_ASSIGN(const bool claimed,
               matches(session,
                       "UPDATE operations SET status = 'running', owner = $3, owner_name = $4,"
                       " last_heartbeat_at = $5, version = version + 1,"
                       " started_at = CASE WHEN status = 'pending' THEN $5 ELSE started_at END,"
                       " phase = CASE WHEN checkpoint_sequence IS NULL THEN 'preparing' ELSE 'restoring' END"
                       " WHERE operation_id = $1 AND attempt = $2 AND owner IS NULL AND cancel_requested = 0"
                       " AND status IN ('pending', 'running') RETURNING operation_id",
                       {id.value, fence.attempt, fence.worker.value, worker_name, now()}));
    if (claimed) TRY(forget_rewound_epochs(session, id));
    TRY_ASSIGN(StoredOperation stored, load(session, id));
    if (!claimed) {
      if (auto refused = refuse_claim(stored, fence)) return *refused;
    } else {
      TRY(append_event(session, stored, event_of_claim(stored), now()));
    }
    return Claimed{stored.operation, stored.current(), stored.last_sequence + 1};
  });
}

Result<HeartbeatOutcome> SqlOperationsRepository::heartbeat(const OperationId& id,
                                                            const api::HeartbeatRequest& beat) {
  return write_job<HeartbeatOutcome>(*database_, [&](Session& session) -> Result<HeartbeatOutcome> {
    TRY_ASSIGN(
        const Rows rows,
        session.execute("UPDATE operations SET heartbeat_sequence = heartbeat_sequence + 1,"
                        " last_heartbeat_at = $4, progress = $5,"
                        " phase = CASE WHEN cancel_requested = 1 THEN 'cancelling' ELSE $6 END" KTRDR_FENCED
                        "RETURNING cancel_requested, version",
                        {id.value, beat.attempt, beat.worker_id, now(), api::to_json(storable(beat.progress)),
                         std::string(to_string(beat.phase))}));
    if (rows.empty()) {
      TRY_ASSIGN(const StoredOperation stored, load_row(session, id));
      return refuse_fence(stored, {beat.attempt, {beat.worker_id}});
    }
    TRY(store_epochs(session, id, beat.epochs));
    TRY(add_warnings(session, id, beat.warnings));
    RowReader row(rows.front());
    const bool cancel_requested = row.flag();
    return HeartbeatOutcome{cancel_requested, row.integer()};
  });
}

Result<std::int64_t> SqlOperationsRepository::add_epochs(const OperationId& id, const Fence& fence,
                                                         const std::vector<api::EpochMetrics>& epochs) {
  return write_job<std::int64_t>(*database_, [&](Session& session) -> Result<std::int64_t> {
    TRY_ASSIGN(const Rows rows,
               session.execute("UPDATE operations SET heartbeat_sequence = heartbeat_sequence + 1,"
                               " last_heartbeat_at = $4" KTRDR_FENCED "RETURNING version",
                               {id.value, fence.attempt, fence.worker.value, now()}));
    if (rows.empty()) {
      TRY_ASSIGN(const StoredOperation stored, load_row(session, id));
      return refuse_fence(stored, fence);
    }
    TRY(store_epochs(session, id, epochs));
    return RowReader(rows.front()).integer();
  });
}

Result<Committed> SqlOperationsRepository::commit_checkpoint(const OperationId& id, const Fence& fence,
                                                             const api::CheckpointInfo& checkpoint) {
  TRY(check_commit(fence, checkpoint));
  const CheckpointRef parent = checkpoint.parent.value_or(CheckpointRef{kNone, kNone});
  return write_job<Committed>(*database_, [&](Session& session) -> Result<Committed> {
    // A sequence number never returns: a late copy of a commit that was rewound would else find its parent
    // current again.
    TRY_ASSIGN(const bool committed,
               matches(session,
                       "UPDATE operations SET checkpoint_attempt = $4, checkpoint_sequence = $5,"
                       " last_sequence = $5" KTRDR_FENCED
                       "AND last_sequence < $5 AND COALESCE(checkpoint_attempt, -1) = $6"
                       " AND COALESCE(checkpoint_sequence, -1) = $7 RETURNING operation_id",
                       {id.value, fence.attempt, fence.worker.value, checkpoint.ref.attempt,
                        checkpoint.ref.sequence, parent.attempt, parent.sequence}));
    if (committed) {
      api::CheckpointInfo stamped = checkpoint;
      if (stamped.created_at.empty()) stamped.created_at = now();
      TRY(insert_checkpoint(session, id, stamped));
      TRY(drop_older(session, id, checkpoint.ref));
    }
    TRY_ASSIGN(const StoredOperation stored, load_row(session, id));
    if (!committed) {
      if (auto refused = refuse_commit(stored, fence, checkpoint)) return *refused;
    } else {
      TRY(append_event(session, stored, event_of_commit(checkpoint), now()));
    }
    return Committed{stored.checkpoint->dropped, stored.operation.version};
  });
}

Result<Committed> SqlOperationsRepository::rewind(const OperationId& id, const Fence& fence,
                                                  const api::RewindRequest& request) {
  return write_job<Committed>(*database_, [&](Session& session) -> Result<Committed> {
    TRY_ASSIGN(const bool rewound,
               matches(session,
                       "UPDATE operations SET checkpoint_attempt = $4, checkpoint_sequence = $5" KTRDR_FENCED
                       "AND checkpoint_attempt = $6 AND checkpoint_sequence = $7 AND $5 < $7"
                       " AND EXISTS (SELECT 1 FROM checkpoints c WHERE c.operation_id = $1 AND c.attempt = $4"
                       " AND c.sequence = $5) RETURNING operation_id",
                       {id.value, fence.attempt, fence.worker.value, request.previous.attempt,
                        request.previous.sequence, request.bad.attempt, request.bad.sequence}));
    if (rewound) TRY(give_up_checkpoint(session, id, request));
    TRY_ASSIGN(const StoredOperation stored, load_row(session, id));
    if (!rewound) {
      if (auto refused = refuse_rewind(stored, fence, request)) return *refused;
    } else {
      TRY(append_event(session, stored, event_of_rewind(request), now()));
    }
    return Committed{{request.bad}, stored.operation.version};
  });
}

}  // namespace ktrdr::storage
