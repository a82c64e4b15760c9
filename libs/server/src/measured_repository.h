// Counts what happens to operations, as this server sees it, on the way to the store and back: claims and how
// long they were waited for, lapsed leases, checkpoints, refused stale writes, failures of the store. Answers
// what the store answers, and knows nothing that it does not. Safe to call from any thread.
//
// A repeated request gets the same answer of the store as the first one, and counts once: what every running
// attempt was last seen to do is kept until the attempt has been gone for a while (pulses()).
#pragma once

#include <map>
#include <memory>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/synchronized.h"
#include "ktrdr/metrics/registry.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::server {

class MeasuredRepository final : public storage::OperationsRepository {
 public:
  // The registry outlives it.
  MeasuredRepository(metrics::Registry& registry, std::unique_ptr<storage::OperationsRepository> inner);

  Result<std::optional<api::Operation>> created_before(const storage::IdempotencyKey& key) override;
  Result<storage::Created> create(const storage::NewOperation& operation,
                                  const std::optional<storage::IdempotencyKey>& key) override;
  Result<storage::Created> retry(const OperationId& id, const OperationId& new_id,
                                 const storage::Precondition& precondition,
                                 const std::optional<storage::IdempotencyKey>& key) override;
  Result<api::Operation> get(const OperationId& id) override;
  Result<api::TrainingJob> job(const OperationId& id) override;
  Result<storage::OperationPage> list(const storage::ListQuery& query) override;
  Result<std::vector<api::Operation>> children(const OperationId& id) override;
  Result<storage::Resumed> try_resume(const OperationId& id, bool allow_changes,
                                      const storage::Precondition& precondition,
                                      const std::optional<storage::IdempotencyKey>& key) override;
  Result<storage::Claimed> claim(const OperationId& id, const storage::Fence& fence,
                                 const std::string& worker_name) override;
  Result<storage::HeartbeatOutcome> heartbeat(const OperationId& id,
                                              const api::HeartbeatRequest& beat) override;
  Result<std::int64_t> add_epochs(const OperationId& id, const storage::Fence& fence,
                                  const std::vector<api::EpochMetrics>& epochs) override;
  Result<storage::Committed> commit_checkpoint(const OperationId& id, const storage::Fence& fence,
                                               const api::CheckpointInfo& checkpoint) override;
  Result<storage::Committed> rewind(const OperationId& id, const storage::Fence& fence,
                                    const api::RewindRequest& request) override;
  Result<storage::Completed> complete(const OperationId& id, const api::CompleteRequest& request) override;
  Result<api::Operation> fail(const OperationId& id, const storage::Fence& fence, const std::string& message,
                              const storage::RestartRule& rule) override;
  Result<api::Operation> stopped(const OperationId& id, const api::StoppedRequest& request,
                                 const storage::RestartRule& rule) override;
  Result<api::Operation> fail_unclaimed(const OperationId& id, Attempt attempt,
                                        const std::string& message) override;
  Result<api::Operation> request_cancel(const OperationId& id, const std::string& reason,
                                        const storage::Precondition& precondition) override;
  Result<std::vector<storage::Pulse>> pulses() override;
  Result<bool> end_orphan(const storage::Pulse& watched, const std::string& message,
                          const storage::RestartRule& rule) override;
  Result<std::vector<storage::Waiting>> waiting(std::int64_t limit) override;
  Result<std::vector<api::CheckpointInfo>> checkpoints(const OperationId& id) override;
  Result<storage::Committed> drop_checkpoints(const OperationId& id,
                                              const storage::Precondition& precondition) override;
  Result<storage::CheckpointPage> list_checkpoints(const storage::CheckpointQuery& query) override;
  Result<storage::CheckpointTotals> checkpoint_totals() override;
  Result<Keep> keep(const OperationId& id) override;
  Result<storage::EventPage> events(const OperationId& id, const storage::EventQuery& query) override;
  Result<std::vector<std::int64_t>> last_events(const std::vector<OperationId>& ids) override;
  Result<std::int64_t> forget_idempotency_keys(std::int64_t older_than_wall_ms) override;

 private:
  // What this server saw of an attempt.
  struct Seen {
    Attempt attempt = 0;
    bool is_claimed = false;
    std::optional<CheckpointRef> committed, rewound;  // the last of each
    std::optional<std::int64_t> failed_saves;         // in all, as its worker said last
    bool is_over = false;                             // no longer running when it was last looked for
  };
  struct State {
    std::map<OperationId, Seen> attempts;
    int looks = 0;  // at the pulses
  };

  // The same answer. `stale` counts when it refuses a write because its attempt is over.
  template <class T>
  Result<T> counted(Result<T> answer, metrics::Counter* stale = nullptr);
  void count_error(ErrorCode code, metrics::Counter* stale);

  static Seen* find(State& state, const OperationId& id, Attempt attempt);
  void count_claim(const OperationId& id, Attempt attempt);
  std::optional<double> queued_for(const OperationId& id, Attempt attempt);
  void count_failed_saves(const OperationId& id, const api::HeartbeatRequest& beat);
  void count_commit(const OperationId& id, const api::CheckpointInfo& checkpoint);
  void count_rewind(const OperationId& id, const api::RewindRequest& request);
  void forget_ended(const std::vector<storage::Pulse>& pulses);

  const std::unique_ptr<storage::OperationsRepository> inner_;
  Synchronized<State> state_;

  struct StaleWrites {
    explicit StaleWrites(metrics::Registry& registry);
    metrics::Counter claim, heartbeat, metrics, checkpoint, rewind, complete, fail, stopped;
  };
  StaleWrites stale_;
  metrics::Histogram queue_seconds_;
  metrics::Counter leases_lapsed_;
  metrics::Counter committed_, committed_bytes_, failed_saves_, rewound_, deleted_;
  metrics::Counter store_failures_;
};

}  // namespace ktrdr::server
