#include "ktrdr/services/operations_service.h"

#include <algorithm>

#include "checkpoint_files.h"
#include "ktrdr/core/log.h"

namespace ktrdr::services {
namespace {

Result<storage::Fence> fence_of(std::int64_t attempt, const std::string& worker_id) {
  TRY_ASSIGN(WorkerId worker, WorkerId::parse(worker_id));
  return storage::Fence{attempt, std::move(worker)};
}

// Of a request of a worker: who it says it is.
template <class Request>
LogSubject subject_of(const OperationId& id, const Request& request) {
  return {.operation = id.value, .attempt = request.attempt, .worker = request.worker_id};
}

// The last that is heard of a worker whose attempt is over: it stops when it reads the answer.
template <class Outcome>
Result<Outcome> told_when_stale(Result<Outcome> outcome) {
  if (!outcome.ok() && outcome.error().code == ErrorCode::kStale) {
    log(LogLevel::kWarning, "a stale request was refused", {{"error", outcome.error().describe()}});
  }
  return outcome;
}

bool is_store_trouble(const Error& error) {
  return error.code == ErrorCode::kIo || error.code == ErrorCode::kUnavailable ||
         error.code == ErrorCode::kInternal;
}

void log_change(std::string_view what, const api::Operation& operation) {
  log(LogLevel::kInfo, what,
      {{"operation", operation.operation_id},
       {"attempt", std::to_string(operation.attempt)},
       {"worker", operation.worker_id.value_or("")},
       {"status", std::string(to_string(operation.status))},
       {"version", std::to_string(operation.version)}});
}

}  // namespace

OperationsService::OperationsService(Clock& clock, storage::OperationsRepository& operations,
                                     checkpoints::CheckpointStore& checkpoints, WorkerRegistry& workers,
                                     WorkerGateway& gateway, Dispatcher& dispatcher, Executor& dispatches,
                                     std::int64_t max_restarts)
    : clock_(clock),
      operations_(operations),
      checkpoints_(checkpoints),
      workers_(workers),
      gateway_(gateway),
      dispatcher_(dispatcher),
      dispatches_(dispatches),
      max_restarts_(max_restarts),
      waiters_(clock),
      heartbeats_in_store_(clock) {}

Result<api::Operation> OperationsService::get(const OperationId& id) {
  TRY_ASSIGN(api::Operation operation, operations_.get(id));
  if (is_finished(operation.status)) cache_.forget(id);  // also when it ended at another server
  cache_.show_progress(operation);
  show_risk(operation);
  return operation;
}

// Both ends are moments of the server's clock; the worker's is never asked. Training since the checkpoint was
// taken is at risk, but not the time before a resume: nothing was trained then. A queued attempt trains
// nothing yet.
void OperationsService::show_risk(api::Operation& operation) const {
  if (operation.status != api::OperationStatus::kRunning || !operation.checkpoint) return;
  const auto taken = parse_iso8601_ms(operation.checkpoint->created_at);
  const auto started = parse_iso8601_ms(operation.started_at.value_or(operation.created_at));
  if (!taken.ok() || !started.ok()) return;
  const std::int64_t now = clock_.wall_ms();
  const auto seconds_since = [now](std::int64_t moment) {
    return static_cast<double>(std::max<std::int64_t>(0, now - moment)) / 1000;
  };
  operation.seconds_since_checkpoint = seconds_since(*taken);
  operation.seconds_at_risk = operation.worker_id ? seconds_since(std::max(*taken, *started)) : 0;
}

Result<storage::OperationPage> OperationsService::list(const storage::ListQuery& query) {
  TRY_ASSIGN(storage::OperationPage page, operations_.list(query));
  for (api::Operation& operation : page.operations) cache_.show_progress(operation);
  return page;
}

Result<std::vector<api::Operation>> OperationsService::children(const OperationId& id) {
  return operations_.children(id);
}

Result<api::Operation> OperationsService::retry(const OperationId& id,
                                                const storage::Precondition& precondition,
                                                const std::optional<storage::IdempotencyKey>& key) {
  const OperationId new_id = new_operation_id("retry_training", clock_.wall_ms());
  TRY_ASSIGN(storage::Created created, operations_.retry(id, new_id, precondition, key));
  log_change(created.replayed ? "retry repeated" : "retried", created.operation);
  return std::move(created.operation);
}

Result<storage::Resumed> OperationsService::try_resume(const OperationId& id, bool allow_changes,
                                                       const storage::Precondition& precondition,
                                                       const std::optional<storage::IdempotencyKey>& key) {
  TRY_ASSIGN(storage::Resumed resumed, operations_.try_resume(id, allow_changes, precondition, key));
  if (!resumed.replayed) cache_.forget(id);  // after the store, never before
  log_change(resumed.replayed ? "resume repeated" : "resumed", resumed.operation);
  return resumed;
}

void OperationsService::resume(const OperationId& id, const api::ResumeOperationRequest& request,
                               const storage::Precondition& precondition,
                               const std::optional<storage::IdempotencyKey>& key, ThenResumed then) {
  const auto resumed = try_resume(id, request.allow_changes, precondition, key);
  if (!resumed.ok()) return then(resumed.error());
  if (resumed->replayed) return then(repeated_answer(*resumed));
  const storage::Waiting waiting{id, resumed->operation.attempt, /*is_resume=*/true};
  const bool somebody_is_free = !workers_.available().empty();
  const bool posted = somebody_is_free && dispatches_.post([this, waiting, then, resumed = *resumed] {
    const auto dispatched = dispatcher_.dispatch(waiting);
    then(dispatched.ok() ? Result(resume_answer(resumed, operations_.get(waiting.id))) : dispatched.error());
  });
  if (!posted) then(resume_answer(*resumed, resumed->operation));  // the dispatch loop goes on with it
}

// What the first answer was, or would be now. When a worker's verdict ended the attempt before anybody had
// claimed it, the verdict is the answer; its code was not kept, its sentence was.
Result<api::ResumeOperationData> OperationsService::repeated_answer(const storage::Resumed& resumed) {
  const auto now = operations_.get({resumed.operation.operation_id});
  const bool ended_by_verdict = now.ok() && now->attempt == resumed.operation.attempt && !now->worker_id &&
                                now->status == api::OperationStatus::kFailed;
  if (!ended_by_verdict) return resume_answer(resumed, now);
  return Error(ErrorCode::kCheckpointCorrupted, now->error_message.value_or("The attempt was given up."));
}

// The row has moved on when a worker has claimed it meanwhile: its version is what an If-Match must name.
api::ResumeOperationData OperationsService::resume_answer(const storage::Resumed& resumed,
                                                          const Result<api::Operation>& now) {
  const bool still_runs =
      now.ok() && now->attempt == resumed.operation.attempt && now->status == api::OperationStatus::kRunning;
  const api::Operation& operation = still_runs ? *now : resumed.operation;
  return {.operation_id = operation.operation_id,
          .status = resumed.operation.status,
          .resumed_from = {.checkpoint_type = resumed.from.checkpoint_type,
                           .created_at = resumed.from.created_at,
                           .epoch = resumed.from.epoch,
                           .start_epoch = resumed.from.start_epoch,
                           .start_batch = resumed.from.start_batch},
          .phase = operation.phase,
          .attempt = operation.attempt,
          .version = operation.version,
          .workers_connected = workers_.connected_count()};
}

Result<api::Operation> OperationsService::cancel(const OperationId& id, const std::string& reason,
                                                 const storage::Precondition& precondition) {
  TRY_ASSIGN(api::Operation operation, operations_.request_cancel(id, reason, precondition));
  log_change("cancel requested", operation);
  if (is_finished(operation.status)) {
    finished(operation);
    return operation;
  }
  if (!dispatches_.post([this, operation] { tell_worker_to_cancel(operation); })) {
    log(LogLevel::kInfo, "the worker hears of the cancel with its next heartbeat",
        {{"operation", id.value},
         {"attempt", std::to_string(operation.attempt)},
         {"worker", operation.worker_id.value_or("")}});
  }
  return operation;
}

Result<api::Operation> OperationsService::update_status(const OperationId& id, api::OperationStatus status,
                                                        const std::string& message,
                                                        const storage::Precondition& precondition) {
  const auto refuse = [&](const std::string& way) {
    return Error(ErrorCode::kConflict,
                 "An operation is not set to " + std::string(to_string(status)) + " from outside; " + way);
  };
  switch (status) {
    case api::OperationStatus::kCancelled: return cancel(id, message, precondition);
    case api::OperationStatus::kFailed: return fail_unclaimed(id, message, precondition);
    case api::OperationStatus::kRunning: return refuse("use resume.");
    case api::OperationStatus::kPending: return refuse("use retry.");
    case api::OperationStatus::kCompleted: return refuse("its worker completes it.");
  }
  CHECK(false, "every status is handled");
}

// Within one attempt a row that nobody claimed has one version only, so the attempt is fence enough.
Result<api::Operation> OperationsService::fail_unclaimed(const OperationId& id, const std::string& message,
                                                         const storage::Precondition& precondition) {
  TRY_ASSIGN(const api::Operation now, operations_.get(id));
  if (precondition.if_version.value_or(now.version) != now.version) {
    return Error(ErrorCode::kPreconditionFailed, "Operation " + id.value + " is at version " +
                                                     std::to_string(now.version) +
                                                     "; read it again before changing it.");
  }
  TRY_ASSIGN(
      api::Operation failed,
      operations_.fail_unclaimed(id, now.attempt, message.empty() ? "Given up by a client." : message));
  log_change("failed", failed);
  finished(failed);
  return failed;
}

// Only makes it faster, and nobody waits for it: a frozen worker takes seconds not to answer. By the time
// this runs the operation may have ended and been resumed: the next attempt was not cancelled.
void OperationsService::tell_worker_to_cancel(const api::Operation& operation) {
  const auto now = operations_.get({operation.operation_id});
  if (!now.ok() || now->attempt != operation.attempt || is_finished(now->status)) return;
  const auto worker_id = WorkerId::parse(operation.worker_id.value_or(""));
  if (!worker_id.ok()) return;
  const auto worker = workers_.get(*worker_id);
  if (!worker.ok()) return;
  if (const auto told = gateway_.cancel(*worker, {operation.operation_id}); !told.ok()) {
    log(LogLevel::kInfo, "the worker hears of the cancel with its next heartbeat",
        {{"operation", operation.operation_id},
         {"attempt", std::to_string(operation.attempt)},
         {"worker", worker->worker_id},
         {"error", told.error().describe()}});
  }
}

void OperationsService::when_finished(const api::Operation& operation, Duration timeout, Then then) {
  // Waits first and looks then, so that an end in between is not missed.
  const OperationId id{operation.operation_id};
  waiters_.add(id, operation.attempt, timeout, std::move(then));
  waiters_.tell(id, get(id));
}

void OperationsService::answer_waiters() {
  std::optional<Error> trouble;  // one question that a store could not answer is enough for this time
  for (const OperationId& id : waiters_.awaited()) {
    const Result<api::Operation> now = trouble ? Result<api::Operation>(*trouble) : get(id);
    if (!now.ok() && is_store_trouble(now.error())) trouble = now.error();
    waiters_.tell(id, now);
  }
}

void OperationsService::finished(const api::Operation& operation) {
  const OperationId id{operation.operation_id};
  cache_.forget(id);
  waiters_.tell(id, operation);
}

// Progress and whoever waits are of the attempt that is over; the dispatch loop goes on with the next one.
void OperationsService::ended_or_restarted(std::string_view how, const api::Operation& operation) {
  const bool is_over = is_finished(operation.status);
  log_change(is_over ? how : "restarted", operation);
  finished(operation);
  if (is_over) return;
  dispatcher_.saw_restart({.id = {operation.operation_id},
                           .attempt = operation.attempt,
                           .is_resume = operation.checkpoint.has_value(),
                           .restarts = operation.restarts.value_or(0)});
}

Result<api::TrainingJob> OperationsService::job(const OperationId& id) { return operations_.job(id); }

Result<api::ClaimAnswer> OperationsService::claim(const OperationId& id, const api::ClaimRequest& request) {
  const LogScope scope(subject_of(id, request));
  TRY_ASSIGN(const storage::Fence fence, fence_of(request.attempt, request.worker_id));
  TRY_ASSIGN(const storage::Claimed claimed,
             told_when_stale(operations_.claim(id, fence, request.worker_name)));
  log_change("claimed", claimed.operation);
  return api::ClaimAnswer{.version = claimed.operation.version,
                          .current_checkpoint = claimed.current_checkpoint,
                          .next_sequence = claimed.next_sequence};
}

Result<api::HeartbeatAnswer> OperationsService::heartbeat(const OperationId& id,
                                                          const api::HeartbeatRequest& request) {
  const LogScope scope(subject_of(id, request));
  TRY(WorkerId::parse(request.worker_id));
  const auto outcome = [&] {
    const auto call = heartbeats_in_store_.begin();
    return told_when_stale(operations_.heartbeat(id, request));
  }();
  if (!outcome.ok()) {
    if (is_store_trouble(outcome.error())) store_trouble_ = true;
    return outcome.error();
  }
  cache_.accepted(id, request);
  return api::HeartbeatAnswer{.cancel = outcome->cancel_requested, .version = outcome->version};
}

Result<api::AppliedAnswer> OperationsService::add_metrics(const OperationId& id,
                                                          const api::AddMetricsRequest& request) {
  const LogScope scope(subject_of(id, request));
  TRY_ASSIGN(const storage::Fence fence, fence_of(request.attempt, request.worker_id));
  TRY_ASSIGN(const std::int64_t version, told_when_stale(operations_.add_epochs(id, fence, request.epochs)));
  return api::AppliedAnswer{.version = version};
}

Result<api::CommitCheckpointAnswer> OperationsService::commit_checkpoint(
    const OperationId& id, const api::CommitCheckpointRequest& request) {
  const LogScope scope(subject_of(id, request));
  TRY_ASSIGN(const storage::Fence fence, fence_of(request.attempt, request.worker_id));
  if (request.checkpoint.ref.attempt != request.attempt) {
    return Error(ErrorCode::kInvalidArgument, "'checkpoint.ref' must be of the attempt that commits it.");
  }
  // What it holds ends where its state was copied; since then it was written, and perhaps waited for us.
  if (request.taken_ms_ago < 0)
    return Error(ErrorCode::kInvalidArgument, "'taken_ms_ago' must not be negative.");
  api::CheckpointInfo checkpoint = request.checkpoint;
  const std::int64_t now = clock_.wall_ms();
  checkpoint.created_at = iso8601_utc(now - std::min(request.taken_ms_ago, std::max<std::int64_t>(0, now)));
  TRY_ASSIGN(storage::Committed committed,
             told_when_stale(operations_.commit_checkpoint(id, fence, checkpoint)));
  return api::CommitCheckpointAnswer{.dropped = std::move(committed.dropped), .version = committed.version};
}

Result<api::CommitCheckpointAnswer> OperationsService::rewind(const OperationId& id,
                                                              const api::RewindRequest& request) {
  const LogScope scope(subject_of(id, request));
  TRY_ASSIGN(const storage::Fence fence, fence_of(request.attempt, request.worker_id));
  TRY_ASSIGN(storage::Committed rewound, told_when_stale(operations_.rewind(id, fence, request)));
  log(LogLevel::kWarning, "rewound to the checkpoint before",
      {{"operation", id.value}, {"bad", request.bad.to_string()}, {"to", request.previous.to_string()}});
  return api::CommitCheckpointAnswer{.dropped = std::move(rewound.dropped), .version = rewound.version};
}

Result<api::AppliedAnswer> OperationsService::complete(const OperationId& id,
                                                       const api::CompleteRequest& request) {
  const LogScope scope(subject_of(id, request));
  TRY(WorkerId::parse(request.worker_id));
  TRY_ASSIGN(const storage::Completed completed, told_when_stale(operations_.complete(id, request)));
  log_change("completed", completed.operation);
  finished(completed.operation);
  remove_files(checkpoints_, id, completed.dropped);  // rule 12: the row first, the files after
  return api::AppliedAnswer{.version = completed.operation.version};
}

Result<api::AppliedAnswer> OperationsService::fail(const OperationId& id, const api::FailRequest& request) {
  const LogScope scope(subject_of(id, request));
  TRY_ASSIGN(const storage::Fence fence, fence_of(request.attempt, request.worker_id));
  storage::RestartRule rule{.at_most = max_restarts_};
  if (request.epoch && request.batch) rule.failed_at = {*request.epoch, *request.batch};
  TRY_ASSIGN(const api::Operation operation,
             told_when_stale(operations_.fail(id, fence, request.error_message, rule)));
  ended_or_restarted("failed", operation);
  return api::AppliedAnswer{.version = operation.version};
}

Result<api::AppliedAnswer> OperationsService::stopped(const OperationId& id,
                                                      const api::StoppedRequest& request) {
  const LogScope scope(subject_of(id, request));
  TRY(WorkerId::parse(request.worker_id));
  TRY_ASSIGN(const api::Operation operation,
             told_when_stale(operations_.stopped(id, request, {.at_most = max_restarts_})));
  ended_or_restarted("stopped", operation);
  return api::AppliedAnswer{.version = operation.version};
}

bool OperationsService::take_store_trouble(Duration too_long) {
  const bool was_refused = store_trouble_.exchange(false);
  return was_refused || heartbeats_in_store_.has_one_older_than(too_long);
}

Result<void> OperationsService::end_orphan(const storage::Pulse& silent, const std::string& message) {
  const LogScope scope({.operation = silent.id.value,
                        .attempt = silent.attempt,
                        .worker = silent.owner ? silent.owner->value : ""});
  TRY_ASSIGN(const bool ended, operations_.end_orphan(silent, message, {.at_most = max_restarts_}));
  if (!ended) return {};
  log(LogLevel::kWarning, "lease lapsed", {{"reason", message}});
  TRY_ASSIGN(const api::Operation operation, operations_.get(silent.id));
  ended_or_restarted("given up", operation);
  return {};
}

}  // namespace ktrdr::services
