// The life of operations, between the routes and the store: what the seed calls OperationsService. It decides
// nothing that the store's conditional updates decide; it adds what follows from a change: dispatching,
// waking whoever waits for an end, deleting files after their rows. Safe to call from any thread.
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "ktrdr/api/operation.h"
#include "ktrdr/api/worker.h"
#include "ktrdr/checkpoints/checkpoint_store.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/services/calls_in_flight.h"
#include "ktrdr/services/dispatcher.h"
#include "ktrdr/services/executor.h"
#include "ktrdr/services/finish_waiters.h"
#include "ktrdr/services/operations_cache.h"
#include "ktrdr/services/worker_gateway.h"
#include "ktrdr/services/worker_registry.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::services {

class OperationsService {
 public:
  OperationsService(Clock& clock, storage::OperationsRepository& operations,
                    checkpoints::CheckpointStore& checkpoints, WorkerRegistry& workers,
                    WorkerGateway& gateway, Dispatcher& dispatcher, Executor& dispatches,
                    std::int64_t max_restarts = 0);

  // ---- for people ----

  // With what a crash would cost now, while it runs.
  Result<api::Operation> get(const OperationId& id);
  Result<storage::OperationPage> list(const storage::ListQuery& query);

  Result<std::vector<api::Operation>> children(const OperationId& id);
  Result<storage::EventPage> events(const OperationId& id, const storage::EventQuery& query) {
    return operations_.events(id, query);
  }

  // The same experiment from its beginning, as a new operation; the caller wakes the dispatcher.
  Result<api::Operation> retry(const OperationId& id, const storage::Precondition& precondition,
                               const std::optional<storage::IdempotencyKey>& key);

  // One UPDATE decides, in the store; a refusal changed nothing.
  Result<storage::Resumed> try_resume(const OperationId& id, bool allow_changes,
                                      const storage::Precondition& precondition,
                                      const std::optional<storage::IdempotencyKey>& key);

  // try_resume, then dispatch to a free worker at once. With no free worker the operation waits (phase
  // queued). kCheckpointNotFound and kCheckpointCorrupted: the worker's verdict; the attempt has ended as
  // failed. Answers through `then`, once and from any thread: the worker that is asked calls this server back
  // before it answers, so no thread of the server may wait for it.
  using ThenResumed = std::function<void(Result<api::ResumeOperationData>)>;
  void resume(const OperationId& id, const api::ResumeOperationRequest& request,
              const storage::Precondition& precondition, const std::optional<storage::IdempotencyKey>& key,
              ThenResumed then);

  // The request is stored when this returns; the operation may still run until its worker has saved its
  // place.
  Result<api::Operation> cancel(const OperationId& id, const std::string& reason,
                                const storage::Precondition& precondition);

  // The seed's direct change of status, within the state machine: cancelled is cancel(); failed ends an
  // attempt that nobody has claimed; every other wish is refused with kConflict and the way that leads there.
  Result<api::Operation> update_status(const OperationId& id, api::OperationStatus status,
                                       const std::string& message, const storage::Precondition& precondition);

  // Calls `then` once, from any thread: with the operation as soon as this attempt of it has ended, or as it
  // is after `timeout`.
  using Then = FinishWaiters::Then;
  void when_finished(const api::Operation& operation, Duration timeout, Then then);
  void answer_waiters();  // called by a loop: the ones whose time is up or whose operation ended elsewhere

  // ---- for workers; every one is fenced ----

  Result<api::TrainingJob> job(const OperationId& id);
  Result<api::ClaimAnswer> claim(const OperationId& id, const api::ClaimRequest& request);
  Result<api::HeartbeatAnswer> heartbeat(const OperationId& id, const api::HeartbeatRequest& request);
  Result<api::AppliedAnswer> add_metrics(const OperationId& id, const api::AddMetricsRequest& request);
  Result<api::CommitCheckpointAnswer> commit_checkpoint(const OperationId& id,
                                                        const api::CommitCheckpointRequest& request);
  Result<api::CommitCheckpointAnswer> rewind(const OperationId& id, const api::RewindRequest& request);
  Result<api::AppliedAnswer> complete(const OperationId& id, const api::CompleteRequest& request);
  Result<api::AppliedAnswer> fail(const OperationId& id, const api::FailRequest& request);
  Result<api::AppliedAnswer> stopped(const OperationId& id, const api::StoppedRequest& request);

  // ---- for the supervisor ----

  // Whether a heartbeat came since the last call that the store could not take, or has not taken for
  // `too_long` now: that is no silence of its worker.
  bool take_store_trouble(Duration too_long);

  Result<void> end_orphan(const storage::Pulse& silent, const std::string& message);

 private:
  void show_risk(api::Operation& operation) const;
  Result<api::ResumeOperationData> repeated_answer(const storage::Resumed& resumed);
  api::ResumeOperationData resume_answer(const storage::Resumed& resumed, const Result<api::Operation>& now);
  void tell_worker_to_cancel(const api::Operation& operation);
  void finished(const api::Operation& operation);
  void ended_or_restarted(std::string_view how, const api::Operation& operation);
  Result<api::Operation> fail_unclaimed(const OperationId& id, const std::string& message,
                                        const storage::Precondition& precondition);

  Clock& clock_;
  storage::OperationsRepository& operations_;
  checkpoints::CheckpointStore& checkpoints_;
  WorkerRegistry& workers_;
  WorkerGateway& gateway_;
  Dispatcher& dispatcher_;
  Executor& dispatches_;
  const std::int64_t max_restarts_;  // of an operation, by itself, since a client started or resumed it
  OperationsCache cache_;
  FinishWaiters waiters_;
  std::atomic<bool> store_trouble_ = false;
  CallsInFlight heartbeats_in_store_;
};

}  // namespace ktrdr::services
