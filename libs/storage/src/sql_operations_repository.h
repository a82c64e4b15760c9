// The operations table in SQL, on any Database. The guards are the WHERE clauses; see
// operations_repository.h.
//
// Every change has the same shape: one conditional UPDATE; when it matched a row, what belongs to the change
// follows in the same transaction; when it did not, the row is read to explain why, or to repeat the answer.
#pragma once

#include <array>
#include <memory>
#include <mutex>

#include "database.h"
#include "ktrdr/core/clock.h"
#include "stored_operation.h"

// Rule 3 as the end of an UPDATE: $1 the operation, $2 the attempt, $3 the worker. A macro, because
// statements are literals that are put together at compile time.
#define KTRDR_FENCED " WHERE operation_id = $1 AND attempt = $2 AND owner = $3 AND status = 'running' "

namespace ktrdr::storage {

class SqlOperationsRepository final : public OperationsRepository {
 public:
  SqlOperationsRepository(std::unique_ptr<Database> database, Clock& clock)
      : database_(std::move(database)), clock_(clock) {}

  // ---- sql_clients.cc: what clients ask for ----
  Result<std::optional<api::Operation>> created_before(const IdempotencyKey& key) override;
  Result<Created> create(const NewOperation& operation, const std::optional<IdempotencyKey>& key) override;
  Result<Created> retry(const OperationId& id, const OperationId& new_id, const Precondition& precondition,
                        const std::optional<IdempotencyKey>& key) override;
  Result<Resumed> try_resume(const OperationId& id, bool allow_changes, const Precondition& precondition,
                             const std::optional<IdempotencyKey>& key) override;
  Result<api::Operation> request_cancel(const OperationId& id, const std::string& reason,
                                        const Precondition& precondition) override;
  Result<Committed> drop_checkpoints(const OperationId& id, const Precondition& precondition) override;
  Result<std::int64_t> forget_idempotency_keys(std::int64_t older_than_wall_ms) override;

  // ---- sql_workers.cc: fenced writes of the worker that owns the operation ----
  Result<Claimed> claim(const OperationId& id, const Fence& fence, const std::string& worker_name) override;
  Result<HeartbeatOutcome> heartbeat(const OperationId& id, const api::HeartbeatRequest& beat) override;
  Result<std::int64_t> add_epochs(const OperationId& id, const Fence& fence,
                                  const std::vector<api::EpochMetrics>& epochs) override;
  Result<Committed> commit_checkpoint(const OperationId& id, const Fence& fence,
                                      const api::CheckpointInfo& checkpoint) override;
  Result<Committed> rewind(const OperationId& id, const Fence& fence,
                           const api::RewindRequest& request) override;

  // ---- sql_endings.cc: how an attempt ends ----
  Result<Completed> complete(const OperationId& id, const api::CompleteRequest& request) override;
  Result<api::Operation> fail(const OperationId& id, const Fence& fence, const std::string& message,
                              const RestartRule& rule) override;
  Result<api::Operation> stopped(const OperationId& id, const api::StoppedRequest& request,
                                 const RestartRule& rule) override;
  Result<api::Operation> fail_unclaimed(const OperationId& id, Attempt attempt,
                                        const std::string& message) override;
  Result<bool> end_orphan(const Pulse& watched, const std::string& message, const RestartRule& rule) override;

  // ---- sql_queries.cc ----
  Result<api::Operation> get(const OperationId& id) override;
  Result<api::TrainingJob> job(const OperationId& id) override;
  Result<std::vector<Pulse>> pulses() override;
  Result<std::vector<Waiting>> waiting(std::int64_t limit) override;
  Result<std::vector<api::CheckpointInfo>> checkpoints(const OperationId& id) override;
  Result<Keep> keep(const OperationId& id) override;

  // ---- sql_lists.cc: pages ----
  Result<OperationPage> list(const ListQuery& query) override;
  Result<std::vector<api::Operation>> children(const OperationId& id) override;
  Result<CheckpointPage> list_checkpoints(const CheckpointQuery& query) override;
  Result<CheckpointTotals> checkpoint_totals() override;

  // ---- sql_events.cc: the history ----
  Result<EventPage> events(const OperationId& id, const EventQuery& query) override;
  Result<std::vector<std::int64_t>> last_events(const std::vector<OperationId>& ids) override;

 private:
  Result<void> refuse_what_runs(const OperationId& id, const Precondition& precondition);
  Result<std::unique_lock<std::mutex>> turn_to_resume(const OperationId& id,
                                                      const Precondition& precondition);
  std::string now() const { return iso8601_utc(clock_.wall_ms()); }

  std::unique_ptr<Database> database_;
  Clock& clock_;
  std::array<std::mutex, 1024> resume_turns_;  // by the hash of the operation's id
};

// ---- shared by the files above ----

// Runs one conditional UPDATE (with RETURNING): true when it matched its row.
Result<bool> matches(Session& session, std::string_view sql, const std::vector<Value>& parameters);

// DELETE FROM checkpoints .. RETURNING attempt, sequence: what it deleted, oldest first.
Result<std::vector<CheckpointRef>> delete_checkpoints(Session& session, std::string_view sql,
                                                      const std::vector<Value>& parameters);

}  // namespace ktrdr::storage
