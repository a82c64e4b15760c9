#include "measured_repository.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace ktrdr::server {
namespace {

using storage::Committed;
using storage::Fence;
using storage::IdempotencyKey;
using storage::Precondition;
using storage::RestartRule;

// An attempt that was not among the running ones at two such looks in a row, one or two leases apart, is
// over; requests that come again do so sooner.
constexpr int kLooksBetween = 20;

// The claim is the newest event of an operation that was just claimed; at worst a few followed.
constexpr std::int64_t kNewestEvents = 10;

metrics::Counter stale_writes(metrics::Registry& registry, const char* kind) {
  return registry.counter({"ktrdr_stale_writes_refused_total",
                           "Writes of workers refused because their attempt is over: nothing was changed."},
                          {{"kind", kind}});
}

bool is_trouble_of_the_store(ErrorCode code) {
  return code == ErrorCode::kIo || code == ErrorCode::kUnavailable || code == ErrorCode::kInternal;
}

std::optional<double> seconds_between(const std::string& from, const std::string& to) {
  const auto begin = parse_iso8601_ms(from), end = parse_iso8601_ms(to);
  if (!begin.ok() || !end.ok()) return std::nullopt;
  return static_cast<double>(std::max<std::int64_t>(0, *end - *begin)) / 1000;  // two servers' clocks
}

}  // namespace

MeasuredRepository::StaleWrites::StaleWrites(metrics::Registry& registry)
    : claim(stale_writes(registry, "claim")),
      heartbeat(stale_writes(registry, "heartbeat")),
      metrics(stale_writes(registry, "metrics")),
      checkpoint(stale_writes(registry, "checkpoint")),
      rewind(stale_writes(registry, "rewind")),
      complete(stale_writes(registry, "complete")),
      fail(stale_writes(registry, "fail")),
      stopped(stale_writes(registry, "stopped")) {}

MeasuredRepository::MeasuredRepository(metrics::Registry& registry,
                                       std::unique_ptr<storage::OperationsRepository> inner)
    : inner_(std::move(inner)),
      stale_(registry),
      queue_seconds_(registry.histogram({"ktrdr_operation_queue_seconds",
                                         "From the start, the resume or the restart of an operation until a "
                                         "worker claimed it."},
                                        metrics::waiting_bounds())),
      leases_lapsed_(registry.counter(
          {"ktrdr_leases_lapsed_total", "Attempts ended because their worker fell silent."})),
      committed_(registry.counter({"ktrdr_checkpoints_committed_total", "Checkpoints that count."})),
      committed_bytes_(registry.counter(
          {"ktrdr_checkpoint_committed_bytes_total", "Bytes of the committed checkpoints."})),
      failed_saves_(registry.counter(
          {"ktrdr_checkpoint_failures_total",
           "Checkpoints that workers took and could not save, as their heartbeats told this server."})),
      rewound_(registry.counter(
          {"ktrdr_checkpoints_rewound_total", "Damaged checkpoints that a worker went back behind."})),
      deleted_(registry.counter(
          {"ktrdr_checkpoints_deleted_total",
           "Checkpoints of operations that are not live, deleted on command or because of their age."})),
      store_failures_(registry.counter(
          {"ktrdr_store_failures_total", "Calls that the database failed or was too busy for."})) {}

template <class T>
Result<T> MeasuredRepository::counted(Result<T> answer, metrics::Counter* stale) {
  if (!answer.ok()) count_error(answer.error().code, stale);
  return answer;
}

void MeasuredRepository::count_error(ErrorCode code, metrics::Counter* stale) {
  if (code == ErrorCode::kStale && stale != nullptr) stale->add();
  if (is_trouble_of_the_store(code)) store_failures_.add();
}

// ---- what is counted ----

Result<storage::Claimed> MeasuredRepository::claim(const OperationId& id, const Fence& fence,
                                                   const std::string& worker_name) {
  auto answer = counted(inner_->claim(id, fence, worker_name), &stale_.claim);
  if (answer.ok()) count_claim(id, fence.attempt);
  return answer;
}

Result<storage::HeartbeatOutcome> MeasuredRepository::heartbeat(const OperationId& id,
                                                                const api::HeartbeatRequest& beat) {
  auto answer = counted(inner_->heartbeat(id, beat), &stale_.heartbeat);
  if (answer.ok()) count_failed_saves(id, beat);
  return answer;
}

Result<std::int64_t> MeasuredRepository::add_epochs(const OperationId& id, const Fence& fence,
                                                    const std::vector<api::EpochMetrics>& epochs) {
  return counted(inner_->add_epochs(id, fence, epochs), &stale_.metrics);
}

Result<Committed> MeasuredRepository::commit_checkpoint(const OperationId& id, const Fence& fence,
                                                        const api::CheckpointInfo& checkpoint) {
  auto answer = counted(inner_->commit_checkpoint(id, fence, checkpoint), &stale_.checkpoint);
  if (answer.ok()) count_commit(id, checkpoint);
  return answer;
}

Result<Committed> MeasuredRepository::rewind(const OperationId& id, const Fence& fence,
                                             const api::RewindRequest& request) {
  auto answer = counted(inner_->rewind(id, fence, request), &stale_.rewind);
  if (answer.ok()) count_rewind(id, request);
  return answer;
}

Result<storage::Completed> MeasuredRepository::complete(const OperationId& id,
                                                        const api::CompleteRequest& request) {
  return counted(inner_->complete(id, request), &stale_.complete);
}

Result<api::Operation> MeasuredRepository::fail(const OperationId& id, const Fence& fence,
                                                const std::string& message, const RestartRule& rule) {
  return counted(inner_->fail(id, fence, message, rule), &stale_.fail);
}

Result<api::Operation> MeasuredRepository::stopped(const OperationId& id, const api::StoppedRequest& request,
                                                   const RestartRule& rule) {
  return counted(inner_->stopped(id, request, rule), &stale_.stopped);
}

Result<std::vector<storage::Pulse>> MeasuredRepository::pulses() {
  auto answer = counted(inner_->pulses());
  if (answer.ok()) forget_ended(*answer);
  return answer;
}

Result<bool> MeasuredRepository::end_orphan(const storage::Pulse& watched, const std::string& message,
                                            const RestartRule& rule) {
  auto answer = counted(inner_->end_orphan(watched, message, rule));
  if (answer.ok() && *answer) leases_lapsed_.add();
  return answer;
}

Result<Committed> MeasuredRepository::drop_checkpoints(const OperationId& id,
                                                       const Precondition& precondition) {
  auto answer = counted(inner_->drop_checkpoints(id, precondition));
  if (answer.ok()) deleted_.add(static_cast<double>(answer->dropped.size()));
  return answer;
}

// ---- an attempt's requests, each counted once ----

// Null for an attempt that another has replaced meanwhile.
MeasuredRepository::Seen* MeasuredRepository::find(State& state, const OperationId& id, Attempt attempt) {
  Seen& seen = state.attempts[id];
  if (seen.attempt > attempt) return nullptr;
  if (seen.attempt < attempt) seen = {.attempt = attempt};
  seen.is_over = false;
  return &seen;
}

void MeasuredRepository::count_claim(const OperationId& id, Attempt attempt) {
  {
    auto state = state_.lock();
    Seen* seen = find(*state, id, attempt);
    if (seen == nullptr || std::exchange(seen->is_claimed, true)) return;
    seen->failed_saves = 0;
  }
  if (const auto seconds = queued_for(id, attempt)) queue_seconds_.observe(*seconds);
}

// By its history, which any server of the database may have written.
std::optional<double> MeasuredRepository::queued_for(const OperationId& id, Attempt attempt) {
  const auto history = inner_->events(id, {.limit = kNewestEvents});
  if (!history.ok()) return std::nullopt;
  const auto claimed =
      std::find_if(history->events.begin(), history->events.end(), [attempt](const auto& event) {
        return event.kind == api::EventKind::kClaimed && event.attempt == attempt;
      });
  if (claimed == history->events.begin() || claimed == history->events.end()) return std::nullopt;
  return seconds_between(std::prev(claimed)->at, claimed->at);
}

// Workers tell how many there were in all. What they told before this server heard of the attempt was told to
// another one, or to one that is no more.
void MeasuredRepository::count_failed_saves(const OperationId& id, const api::HeartbeatRequest& beat) {
  auto state = state_.lock();
  Seen* seen = find(*state, id, beat.attempt);
  if (seen == nullptr) return;
  const std::int64_t now = beat.checkpoint_counts.failed, before = seen->failed_saves.value_or(now);
  if (now > before) failed_saves_.add(static_cast<double>(now - before));
  seen->failed_saves = std::max(now, before);  // heartbeats may overtake one another
}

void MeasuredRepository::count_commit(const OperationId& id, const api::CheckpointInfo& checkpoint) {
  auto state = state_.lock();
  Seen* seen = find(*state, id, checkpoint.ref.attempt);
  if (seen == nullptr || std::exchange(seen->committed, checkpoint.ref) == checkpoint.ref) return;
  committed_.add();
  committed_bytes_.add(static_cast<double>(checkpoint.size_bytes));
}

void MeasuredRepository::count_rewind(const OperationId& id, const api::RewindRequest& request) {
  auto state = state_.lock();
  Seen* seen = find(*state, id, request.attempt);
  if (seen == nullptr || std::exchange(seen->rewound, request.bad) == request.bad) return;
  rewound_.add();
}

void MeasuredRepository::forget_ended(const std::vector<storage::Pulse>& pulses) {
  auto state = state_.lock();
  if (++state->looks % kLooksBetween != 0) return;
  std::map<OperationId, Seen> kept;
  for (const storage::Pulse& pulse : pulses) {
    auto running = state->attempts.extract(pulse.id);
    if (running) kept.insert(std::move(running));
  }
  for (auto& [id, seen] : state->attempts) {
    if (!std::exchange(seen.is_over, true)) kept.emplace(id, seen);
  }
  state->attempts = std::move(kept);
}

// ---- what only passes ----

Result<std::optional<api::Operation>> MeasuredRepository::created_before(const IdempotencyKey& key) {
  return counted(inner_->created_before(key));
}
Result<storage::Created> MeasuredRepository::create(const storage::NewOperation& operation,
                                                    const std::optional<IdempotencyKey>& key) {
  return counted(inner_->create(operation, key));
}
Result<storage::Created> MeasuredRepository::retry(const OperationId& id, const OperationId& new_id,
                                                   const Precondition& precondition,
                                                   const std::optional<IdempotencyKey>& key) {
  return counted(inner_->retry(id, new_id, precondition, key));
}
Result<api::Operation> MeasuredRepository::get(const OperationId& id) { return counted(inner_->get(id)); }
Result<api::TrainingJob> MeasuredRepository::job(const OperationId& id) { return counted(inner_->job(id)); }
Result<storage::OperationPage> MeasuredRepository::list(const storage::ListQuery& query) {
  return counted(inner_->list(query));
}
Result<std::vector<api::Operation>> MeasuredRepository::children(const OperationId& id) {
  return counted(inner_->children(id));
}
Result<storage::Resumed> MeasuredRepository::try_resume(const OperationId& id, bool allow_changes,
                                                        const Precondition& precondition,
                                                        const std::optional<IdempotencyKey>& key) {
  return counted(inner_->try_resume(id, allow_changes, precondition, key));
}
Result<api::Operation> MeasuredRepository::fail_unclaimed(const OperationId& id, Attempt attempt,
                                                          const std::string& message) {
  return counted(inner_->fail_unclaimed(id, attempt, message));
}
Result<api::Operation> MeasuredRepository::request_cancel(const OperationId& id, const std::string& reason,
                                                          const Precondition& precondition) {
  return counted(inner_->request_cancel(id, reason, precondition));
}
Result<std::vector<storage::Waiting>> MeasuredRepository::waiting(std::int64_t limit) {
  return counted(inner_->waiting(limit));
}
Result<std::vector<api::CheckpointInfo>> MeasuredRepository::checkpoints(const OperationId& id) {
  return counted(inner_->checkpoints(id));
}
Result<storage::CheckpointPage> MeasuredRepository::list_checkpoints(const storage::CheckpointQuery& query) {
  return counted(inner_->list_checkpoints(query));
}
Result<storage::CheckpointTotals> MeasuredRepository::checkpoint_totals() {
  return counted(inner_->checkpoint_totals());
}
Result<MeasuredRepository::Keep> MeasuredRepository::keep(const OperationId& id) {
  return counted(inner_->keep(id));
}
Result<storage::EventPage> MeasuredRepository::events(const OperationId& id,
                                                      const storage::EventQuery& query) {
  return counted(inner_->events(id, query));
}
Result<std::vector<std::int64_t>> MeasuredRepository::last_events(const std::vector<OperationId>& ids) {
  return counted(inner_->last_events(ids));
}
Result<std::int64_t> MeasuredRepository::forget_idempotency_keys(std::int64_t older_than_wall_ms) {
  return counted(inner_->forget_idempotency_keys(older_than_wall_ms));
}

}  // namespace ktrdr::server
