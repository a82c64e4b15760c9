#include "ktrdr/services/dispatcher.h"

#include "ktrdr/core/log.h"

namespace ktrdr::services {
namespace {

constexpr std::int64_t kWaitingPerPass = 100;

constexpr int kMostRefusals = 5;

bool is_busy_or_away(const Error& error) {
  return error.code == ErrorCode::kConflict || error.code == ErrorCode::kUnavailable;
}

bool is_final(const Error& verdict) {
  return verdict.code == ErrorCode::kCheckpointNotFound || verdict.code == ErrorCode::kCheckpointCorrupted;
}

}  // namespace

Dispatcher::Dispatcher(storage::OperationsRepository& operations, WorkerRegistry& workers,
                       WorkerGateway& gateway)
    : operations_(operations), workers_(workers), gateway_(gateway) {}

void Dispatcher::dispatch_waiting() {
  if (workers_.available().empty()) return;
  const auto waiting = operations_.waiting(kWaitingPerPass);
  if (!waiting.ok()) {
    log(LogLevel::kWarning, "the queue could not be read", {{"error", waiting.error().describe()}});
    return;
  }
  for (const storage::Waiting& next : *waiting) {
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
    const auto sent = send(worker, waiting);
    if (sent.ok()) {
      workers_.mark_busy(worker.worker_id, waiting.id.value);
      return Dispatched::kToWorker;
    }
    if (is_final(sent.error())) return end_attempt(waiting, sent.error());
    if (sent.error().code == ErrorCode::kUnavailable) workers_.mark_unreachable(worker.worker_id);
    const bool has_trouble = !is_busy_or_away(sent.error());
    log(LogLevel::kInfo, "a worker did not take an operation",
        {{"operation", waiting.id.value}, {"worker", worker.worker_id}, {"error", sent.error().describe()}});
    if (has_trouble && has_been_refused_too_often(waiting)) return end_attempt(waiting, sent.error());
  }
  return Dispatched::kQueued;
}

bool Dispatcher::has_been_refused_too_often(const storage::Waiting& waiting) {
  auto refusals = refusals_.lock();
  const auto key = std::pair(waiting.id, waiting.attempt);
  if (++(*refusals)[key] < kMostRefusals) return false;
  refusals->erase(key);
  return true;
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
