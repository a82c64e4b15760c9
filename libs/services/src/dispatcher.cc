#include "ktrdr/services/dispatcher.h"

#include <algorithm>

#include "ktrdr/core/log.h"

namespace ktrdr::services {
namespace {

constexpr std::int64_t kWaitingPerPass = 100;

constexpr int kMostRefusals = 5;

constexpr Duration kFirstPause = std::chrono::seconds(1);  // of a worker that had trouble with an attempt

constexpr Duration kLongestBackoff = std::chrono::minutes(1);

bool is_busy_or_away(const Error& error) {
  return error.code == ErrorCode::kConflict || error.code == ErrorCode::kUnavailable;
}

bool is_final(const Error& verdict) {
  return verdict.code == ErrorCode::kCheckpointNotFound || verdict.code == ErrorCode::kCheckpointCorrupted;
}

}  // namespace

Duration restart_backoff(std::int64_t restarts, Duration first) {
  if (restarts <= 0) return Duration(0);
  Duration backoff = first;
  for (std::int64_t i = 1; i < restarts && backoff < kLongestBackoff; ++i) backoff *= 2;
  return std::min(backoff, std::max(first, kLongestBackoff));
}

Dispatcher::Dispatcher(const Clock& clock, storage::OperationsRepository& operations, WorkerRegistry& workers,
                       WorkerGateway& gateway, Duration first_backoff)
    : clock_(clock),
      operations_(operations),
      workers_(workers),
      gateway_(gateway),
      first_backoff_(first_backoff) {}

void Dispatcher::dispatch_waiting() {
  if (workers_.available().empty()) return;
  const auto waiting = operations_.waiting(kWaitingPerPass);
  if (!waiting.ok()) {
    log(LogLevel::kWarning, "the queue could not be read", {{"error", waiting.error().describe()}});
    return;
  }
  forget_who_is_gone(*waiting);
  for (const storage::Waiting& next : *waiting) {
    if (is_held_back(next)) continue;
    if (workers_.available().empty()) return;
    if (const auto sent = dispatch(next); !sent.ok()) {
      log(LogLevel::kWarning, "an attempt could not be started",
          {{"operation", next.id.value},
           {"attempt", std::to_string(next.attempt)},
           {"error", sent.error().describe()}});
    }
  }
}

Result<Dispatched> Dispatcher::dispatch(const storage::Waiting& waiting) {
  for (const api::WorkerInfo& worker : workers_.available()) {
    if (is_spared(worker, waiting)) continue;
    const auto sent = send(worker, waiting);
    if (sent.ok()) {
      workers_.mark_busy(worker.worker_id, waiting.id.value);
      return Dispatched::kToWorker;
    }
    if (is_final(sent.error())) return end_attempt(waiting, sent.error());
    if (sent.error().code == ErrorCode::kUnavailable) workers_.mark_unreachable(worker.worker_id);
    const bool has_trouble = !is_busy_or_away(sent.error());
    log(LogLevel::kInfo, "a worker did not take an operation",
        {{"operation", waiting.id.value},
         {"attempt", std::to_string(waiting.attempt)},
         {"worker", worker.worker_id},
         {"error", sent.error().describe()}});
    if (has_trouble && was_the_last_refusal(worker, waiting)) return end_attempt(waiting, sent.error());
  }
  return Dispatched::kQueued;
}

void Dispatcher::saw_restart(const storage::Waiting& waiting) { static_cast<void>(is_held_back(waiting)); }

bool Dispatcher::is_held_back(const storage::Waiting& waiting) {
  if (waiting.restarts == 0) return false;
  const Duration now = clock_.monotonic();
  const Duration seen = first_seen_.lock()->try_emplace({waiting.id, waiting.attempt}, now).first->second;
  return now - seen < restart_backoff(waiting.restarts, first_backoff_);
}

// Whoever is forgotten too early, because the list is not the whole queue, waits once more.
void Dispatcher::forget_who_is_gone(const std::vector<storage::Waiting>& waiting) {
  const auto is_gone = [&](const OperationId& id, Attempt attempt, Duration last_of_interest) {
    const bool is_there = std::any_of(waiting.begin(), waiting.end(), [&](const storage::Waiting& one) {
      return one.id == id && one.attempt == attempt;
    });
    return !is_there && clock_.monotonic() - last_of_interest > kLongestBackoff;
  };
  std::erase_if(*first_seen_.lock(),
                [&](const auto& seen) { return is_gone(seen.first.first, seen.first.second, seen.second); });
  std::erase_if(*refusals_.lock(), [&](const auto& seen) {
    return is_gone(std::get<OperationId>(seen.first), std::get<Attempt>(seen.first), seen.second.ask_again);
  });
}

bool Dispatcher::is_spared(const api::WorkerInfo& worker, const storage::Waiting& waiting) {
  auto refusals = refusals_.lock();
  const auto found = refusals->find({waiting.id, waiting.attempt, worker.worker_id});
  return found != refusals->end() && clock_.monotonic() < found->second.ask_again;
}

bool Dispatcher::was_the_last_refusal(const api::WorkerInfo& worker, const storage::Waiting& waiting) {
  auto refusals = refusals_.lock();
  Refusals& seen = (*refusals)[{waiting.id, waiting.attempt, worker.worker_id}];
  ++seen.count;
  seen.ask_again = clock_.monotonic() + restart_backoff(seen.count, kFirstPause);
  return seen.count >= kMostRefusals;
}

Result<void> Dispatcher::send(const api::WorkerInfo& worker, const storage::Waiting& waiting) {
  if (waiting.is_resume) {
    return gateway_.resume(worker, {.operation_id = waiting.id.value, .attempt = waiting.attempt});
  }
  return gateway_.start(worker, {.operation_id = waiting.id.value, .attempt = waiting.attempt});
}

// The verdict goes to the client as it is; the row keeps it as the reason. Nothing is dispatched for ever.
Result<Dispatched> Dispatcher::end_attempt(const storage::Waiting& waiting, const Error& verdict) {
  const auto ended = operations_.fail_unclaimed(waiting.id, waiting.attempt, verdict.message);
  if (ended.ok()) return verdict;
  const bool was_taken =
      ended.error().code == ErrorCode::kConflict || ended.error().code == ErrorCode::kStale;
  if (was_taken) return Dispatched::kQueued;  // by a worker of another server, who had no such trouble
  return ended.error();
}

}  // namespace ktrdr::services
