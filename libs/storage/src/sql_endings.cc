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

struct NextAttempt {
  Ending cause;
  std::string reason;
  std::int64_t counts = 1;  // 0: a worker handed it back, which is no failure
  std::optional<std::int64_t> heartbeat_sequence;
};

// Ends this attempt and queues the next one. False: the rule or the fence does not allow it.
Result<bool> restart(Session& session, const OperationId& id, const Fence& fence, const NextAttempt& next,
                     const RestartRule& rule) {
  if (rule.at_most == 0) return false;
  const BatchPosition at = rule.failed_at.value_or(BatchPosition{-1, -1});
  return matches(
      session,
      "UPDATE operations SET phase = 'queued', attempt = attempt + 1, version = version + 1,"
      " owner = NULL, owner_name = '', heartbeat_sequence = 0, last_heartbeat_at = NULL,"
      " restarts = restarts + $4, restart_cause = $5, restart_reason = $6, restarted_worker = $3,"
      " failed_epoch = CASE WHEN $4 = 0 THEN failed_epoch ELSE $7 END,"
      " failed_batch = CASE WHEN $4 = 0 THEN failed_batch ELSE $8 END" KTRDR_FENCED
      "AND cancel_requested = 0 AND ($4 = 0 OR restarts < $9)"
      " AND NOT ($4 = 1 AND $7 >= 0 AND failed_epoch = $7 AND failed_batch = $8)"
      " AND heartbeat_sequence = COALESCE($10, heartbeat_sequence) RETURNING operation_id",
      {id.value, fence.attempt, fence.worker.value, next.counts, std::string(to_string(next.cause)),
       next.reason, at.epoch, at.batch, rule.at_most, or_null(next.heartbeat_sequence)});
}

// The worker's place comes with its last word, whatever becomes of the operation.
Result<bool> hand_over(Session& session, const OperationId& id, const api::StoppedRequest& request,
                       const RestartRule& rule) {
  if (rule.at_most == 0 || request.reason != api::StopReason::kShutdown) return false;
  TRY_ASSIGN(const StoredOperation before, load_row(session, id));
  TRY_ASSIGN(const bool handed_over,
             restart(session, id, {request.attempt, {request.worker_id}},
                     {.cause = Ending::kStopped, .reason = message_of_hand_over(before), .counts = 0}, rule));
  if (handed_over) {
    TRY(session.execute("UPDATE operations SET progress = $2 WHERE operation_id = $1",
                        {id.value, api::to_json(storable(request.progress))}));
  }
  return handed_over;
}

// Read for the sentence only: what is decided is decided by the change that follows.
Result<std::string> whole_message(Session& session, const OperationId& id, const std::string& message,
                                  const RestartRule& rule) {
  if (rule.at_most == 0) return message;
  TRY_ASSIGN(const StoredOperation before, load_row(session, id));
  return message_of_failure(before, message, rule);
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
                                                     const std::string& message, const RestartRule& rule) {
  return write_job<api::Operation>(*database_, [&](Session& session) -> Result<api::Operation> {
    TRY_ASSIGN(bool applied,
               restart(session, id, fence, {.cause = Ending::kFailed, .reason = message}, rule));
    if (!applied) {
      TRY_ASSIGN(const std::string whole, whole_message(session, id, message, rule));
      TRY_ASSIGN(applied,
                 matches(session,
                         "UPDATE operations SET status = 'failed', phase = 'none', version = version + 1,"
                         " completed_at = $4, error_message = $5, ended_by = 'fail'" KTRDR_FENCED
                         "RETURNING operation_id",
                         {id.value, fence.attempt, fence.worker.value, now(), whole}));
    }
    TRY_ASSIGN(StoredOperation stored, load(session, id));
    if (!applied) {
      if (auto refused = refuse_fail(stored, fence, message)) return *refused;
    } else {
      TRY(append_event(session, stored, event_of_failure(stored), now()));
    }
    return std::move(stored.operation);
  });
}

Result<api::Operation> SqlOperationsRepository::stopped(const OperationId& id,
                                                        const api::StoppedRequest& request,
                                                        const RestartRule& rule) {
  return write_job<api::Operation>(*database_, [&](Session& session) -> Result<api::Operation> {
    TRY_ASSIGN(bool stopped, hand_over(session, id, request, rule));
    if (!stopped) {
      TRY_ASSIGN(
          stopped,
          matches(
              session,
              "UPDATE operations SET status = 'cancelled', phase = 'none', version = version + 1,"
              " completed_at = $4, progress = $5, ended_by = 'stopped',"
              " error_message = CASE WHEN cancel_requested = 1 THEN cancel_reason ELSE $6 END" KTRDR_FENCED
              "RETURNING operation_id",
              {id.value, request.attempt, request.worker_id, now(), api::to_json(storable(request.progress)),
               message_of_stop(request)}));
    }
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

Result<bool> SqlOperationsRepository::end_orphan(const Pulse& watched, const std::string& message,
                                                 const RestartRule& rule) {
  return write_job<bool>(*database_, [&](Session& session) -> Result<bool> {
    // What is read here is that of the watched heartbeat, or the changes below match nothing.
    TRY_ASSIGN(const StoredOperation before, load_row(session, watched.id));
    const RestartRule ruled{rule.at_most, last_known_batch(before)};
    const Fence fence{watched.attempt, watched.owner.value_or(WorkerId{})};
    TRY_ASSIGN(const bool restarted, restart(session, watched.id, fence,
                                             {.cause = Ending::kOrphaned,
                                              .reason = message,
                                              .heartbeat_sequence = watched.heartbeat_sequence},
                                             ruled));
    if (restarted) {
      TRY_ASSIGN(const StoredOperation after, load_row(session, watched.id));
      TRY(append_event(session, after, event_of_orphan(after), now()));
      return true;
    }
    TRY_ASSIGN(
        const bool ended,
        matches(session,
                "UPDATE operations SET phase = 'none', version = version + 1, completed_at = $5,"
                " status = CASE WHEN cancel_requested = 1 THEN 'cancelled' ELSE 'failed' END,"
                " error_message = CASE WHEN cancel_requested = 1 THEN cancel_reason ELSE $6 END,"
                " ended_by = 'orphan'" KTRDR_FENCED "AND heartbeat_sequence = $4 RETURNING operation_id",
                {watched.id.value, watched.attempt, watched.owner ? Value(watched.owner->value) : Value(),
                 watched.heartbeat_sequence, now(), message_of_failure(before, message, ruled)}));
    TRY_ASSIGN(const StoredOperation stored, load_row(session, watched.id));
    if (ended && stored.operation.status == api::OperationStatus::kCancelled) {
      TRY(add_warnings(session, watched.id, {warning_of_orphan(stored)}));
    }
    if (ended) TRY(append_event(session, stored, event_of_orphan(stored), now()));
    return ended;
  });
}

}  // namespace ktrdr::storage
