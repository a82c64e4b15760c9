#include "operation_rows.h"
#include "refusals.h"
#include "sql_events.h"
#include "sql_operations_repository.h"

namespace ktrdr::storage {
namespace {

// complete() took the pointer; the rows go now, and their names stay as the answer to a repeat.
Result<void> drop_all(Session& session, const OperationId& id) {
  TRY_ASSIGN(const std::vector<CheckpointRef> dropped,
             delete_checkpoints(session,
                                "DELETE FROM checkpoints WHERE operation_id = $1 RETURNING attempt, sequence",
                                {id.value}));
  TRY(session.execute("UPDATE operations SET dropped_checkpoints = $2 WHERE operation_id = $1",
                      {id.value, join(dropped)}));
  return {};
}

std::vector<std::string> list_of(const std::optional<std::string>& warning) {
  return warning ? std::vector{*warning} : std::vector<std::string>{};
}

}  // namespace

Result<Completed> SqlOperationsRepository::complete(const OperationId& id,
                                                    const api::CompleteRequest& request) {
  api::Progress progress = storable(request.progress);
  progress.percentage = 100;
  return write_job<Completed>(*database_, [&](Session& session) -> Result<Completed> {
    TRY_ASSIGN(
        const bool completed,
        matches(session,
                "UPDATE operations SET status = 'completed', phase = 'none', version = version + 1,"
                " completed_at = $4, error_message = NULL, result = $5, model_path = $6,"
                " model_sha256 = $7, progress = $8, checkpoint_attempt = NULL,"
                " checkpoint_sequence = NULL, ended_by = 'complete'" KTRDR_FENCED "RETURNING operation_id",
                {id.value, request.attempt, request.worker_id, now(), request.result.text, request.model_path,
                 request.model_sha256, api::to_json(progress)}));
    if (completed) {
      TRY(store_epochs(session, id, request.epochs));
      TRY(drop_all(session, id));
    }
    TRY_ASSIGN(StoredOperation stored, load(session, id));
    if (!completed) {
      if (auto refused = refuse_complete(stored, request)) return *refused;
    } else {
      TRY(append_event(session, stored, event_of_complete(stored), now()));
    }
    return Completed{std::move(stored.operation), std::move(stored.dropped)};
  });
}

Result<api::Operation> SqlOperationsRepository::fail(const OperationId& id, const Fence& fence,
                                                     const std::string& message) {
  return write_job<api::Operation>(*database_, [&](Session& session) -> Result<api::Operation> {
    TRY_ASSIGN(const bool failed,
               matches(session,
                       "UPDATE operations SET status = 'failed', phase = 'none', version = version + 1,"
                       " completed_at = $4, error_message = $5, ended_by = 'fail'" KTRDR_FENCED
                       "RETURNING operation_id",
                       {id.value, fence.attempt, fence.worker.value, now(), message}));
    TRY_ASSIGN(StoredOperation stored, load(session, id));
    if (!failed) {
      if (auto refused = refuse_fail(stored, fence, message)) return *refused;
    } else {
      TRY(append_event(session, stored, event_of_failure(stored), now()));
    }
    return std::move(stored.operation);
  });
}

Result<api::Operation> SqlOperationsRepository::stopped(const OperationId& id,
                                                        const api::StoppedRequest& request) {
  return write_job<api::Operation>(*database_, [&](Session& session) -> Result<api::Operation> {
    TRY_ASSIGN(
        const bool stopped,
        matches(session,
                "UPDATE operations SET status = 'cancelled', phase = 'none', version = version + 1,"
                " completed_at = $4, progress = $5, ended_by = 'stopped',"
                " error_message = CASE WHEN cancel_requested = 1 THEN cancel_reason ELSE $6 END" KTRDR_FENCED
                "RETURNING operation_id",
                {id.value, request.attempt, request.worker_id, now(),
                 api::to_json(storable(request.progress)), message_of_stop(request)}));
    if (stopped) {
      TRY(store_epochs(session, id, request.epochs));
      TRY(add_warnings(session, id, list_of(request.warning)));
    }
    TRY_ASSIGN(StoredOperation stored, load(session, id));
    if (!stopped) {
      if (auto refused = refuse_stopped(stored, {request.attempt, {request.worker_id}})) return *refused;
    } else {
      TRY(append_event(session, stored, event_of_stop(stored, request), now()));
    }
    return std::move(stored.operation);
  });
}

Result<api::Operation> SqlOperationsRepository::fail_unclaimed(const OperationId& id, Attempt attempt,
                                                               const std::string& message) {
  return write_job<api::Operation>(*database_, [&](Session& session) -> Result<api::Operation> {
    TRY_ASSIGN(const bool failed,
               matches(session,
                       "UPDATE operations SET status = 'failed', phase = 'none', version = version + 1,"
                       " completed_at = $3, error_message = $4, ended_by = 'fail_unclaimed'"
                       " WHERE operation_id = $1 AND attempt = $2 AND owner IS NULL AND status = 'running'"
                       " RETURNING operation_id",
                       {id.value, attempt, now(), message}));
    TRY_ASSIGN(StoredOperation stored, load(session, id));
    if (!failed) {
      if (auto refused = refuse_fail_unclaimed(stored, attempt, message)) return *refused;
    } else {
      TRY(append_event(session, stored, event_of_failure(stored), now()));
    }
    return std::move(stored.operation);
  });
}

Result<bool> SqlOperationsRepository::end_orphan(const Pulse& watched, const std::string& message) {
  return write_job<bool>(*database_, [&](Session& session) -> Result<bool> {
    TRY_ASSIGN(
        const bool ended,
        matches(session,
                "UPDATE operations SET phase = 'none', version = version + 1, completed_at = $5,"
                " status = CASE WHEN cancel_requested = 1 THEN 'cancelled' ELSE 'failed' END,"
                " error_message = CASE WHEN cancel_requested = 1 THEN cancel_reason ELSE $6 END,"
                " ended_by = 'orphan'" KTRDR_FENCED "AND heartbeat_sequence = $4 RETURNING operation_id",
                {watched.id.value, watched.attempt, watched.owner ? Value(watched.owner->value) : Value(),
                 watched.heartbeat_sequence, now(), message}));
    TRY_ASSIGN(const StoredOperation stored, load_row(session, watched.id));
    if (ended && stored.operation.status == api::OperationStatus::kCancelled) {
      TRY(add_warnings(session, watched.id, {warning_of_orphan(stored)}));
    }
    if (ended) TRY(append_event(session, stored, event_of_orphan(stored), now()));
    return ended;
  });
}

}  // namespace ktrdr::storage
