// Sends waiting operations to free workers: oldest first, repeated until somebody has claimed them. Sending
// twice is harmless, because only one claim of an attempt succeeds. Safe to call from any thread.
//
// After a restart it holds the operation back for a while, twice as long with every further one. It counts on
// its own monotonic clock from the moment when it first saw that attempt waiting, so that neither a jump of
// the clock nor a restart of the server lets it go early, or keeps it for longer than once more.
//
// A worker that had trouble of its own with an attempt (it can't read the checkpoints, say) is asked again
// after 1, 2, 4 and 8 seconds, while others are asked at once; its fifth refusal ends the attempt with its
// reason, because nothing is dispatched for ever.
#pragma once

#include <map>
#include <tuple>
#include <utility>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/synchronized.h"
#include "ktrdr/services/worker_gateway.h"
#include "ktrdr/services/worker_registry.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::services {

// How long the n-th restart in a row waits: first, 2 * first, 4 * first, ..., a minute at most; the first of
// all by `first`.
Duration restart_backoff(std::int64_t restarts, Duration first);

enum class Dispatched { kToWorker, kQueued };

class Dispatcher {
 public:
  Dispatcher(const Clock& clock, storage::OperationsRepository& operations, WorkerRegistry& workers,
             WorkerGateway& gateway, Duration first_backoff = std::chrono::seconds(1));

  // It waits from now on, not only from the next pass on.
  void saw_restart(const storage::Waiting& waiting);

  // One pass over everything that waits. Called by the dispatch loop.
  void dispatch_waiting();

  // One operation, now. Tries each free worker until one takes it; kQueued when none did. kCheckpointNotFound
  // and kCheckpointCorrupted are a worker's verdict that this attempt can't be started: it has then ended as
  // failed.
  Result<Dispatched> dispatch(const storage::Waiting& waiting);

 private:
  Result<void> send(const api::WorkerInfo& worker, const storage::Waiting& waiting);
  Result<Dispatched> end_attempt(const storage::Waiting& waiting, const Error& verdict);

  bool is_spared(const api::WorkerInfo& worker, const storage::Waiting& waiting);
  bool was_the_last_refusal(const api::WorkerInfo& worker, const storage::Waiting& waiting);
  bool is_held_back(const storage::Waiting& waiting);
  void forget_who_is_gone(const std::vector<storage::Waiting>& waiting);

  using Name = std::pair<OperationId, Attempt>;
  using Encounter = std::tuple<OperationId, Attempt, std::string>;  // of an attempt and a worker

  struct Refusals {
    int count = 0;
    Duration ask_again = {};  // on the monotonic clock
  };

  const Clock& clock_;
  storage::OperationsRepository& operations_;
  WorkerRegistry& workers_;
  WorkerGateway& gateway_;
  Synchronized<std::map<Encounter, Refusals>> refusals_;
  const Duration first_backoff_;
  Synchronized<std::map<Name, Duration>> first_seen_;  // restarted ones, on the monotonic clock
};

}  // namespace ktrdr::services
