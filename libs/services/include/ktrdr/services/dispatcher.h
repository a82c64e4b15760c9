// Sends waiting operations to free workers: oldest first, repeated until somebody has claimed them. Sending
// twice is harmless, because only one claim of an attempt succeeds. Safe to call from any thread.
#pragma once

#include <map>
#include <utility>

#include "ktrdr/core/synchronized.h"
#include "ktrdr/services/worker_gateway.h"
#include "ktrdr/services/worker_registry.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::services {

enum class Dispatched { kToWorker, kQueued };

class Dispatcher {
 public:
  Dispatcher(storage::OperationsRepository& operations, WorkerRegistry& workers, WorkerGateway& gateway);

  // One pass over everything that waits. Called by the dispatch loop.
  void dispatch_waiting();

  // One operation, now. Tries each free worker until one takes it; kQueued when none did. kCheckpointNotFound
  // and kCheckpointCorrupted are a worker's verdict that this attempt can't be started: it has then ended as
  // failed.
  Result<Dispatched> dispatch(const storage::Waiting& waiting);

 private:
  Result<void> send(const api::WorkerInfo& worker, const storage::Waiting& waiting);
  Result<Dispatched> end_attempt(const storage::Waiting& waiting, const Error& verdict);

  bool has_been_refused_too_often(const storage::Waiting& waiting);

  storage::OperationsRepository& operations_;
  WorkerRegistry& workers_;
  WorkerGateway& gateway_;
  // How often workers had trouble of their own with an attempt; nothing is dispatched for ever.
  Synchronized<std::map<std::pair<OperationId, Attempt>, int>> refusals_;
};

}  // namespace ktrdr::services
