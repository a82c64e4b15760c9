// How the control plane talks to a worker process. The server implements it over HTTP; tests by a fake.
// Safe to call from several threads; every call is bounded to a few seconds.
#pragma once

#include <string>

#include "ktrdr/api/worker.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/core/result.h"

namespace ktrdr::services {

class WorkerGateway {
 public:
  virtual ~WorkerGateway() = default;

  // The worker has claimed the attempt and trains, or: kUnavailable (can't be reached), kConflict (busy, or
  // not claimable), kCheckpointNotFound and kCheckpointCorrupted (resume only: nothing to go on from, final).
  virtual Result<void> start(const api::WorkerInfo& worker, const api::TrainingStartRequest& request) = 0;
  virtual Result<void> resume(const api::WorkerInfo& worker, const api::TrainingResumeRequest& request) = 0;

  // Only makes it faster: the cancel request is in the row, and the next heartbeat's answer carries it.
  virtual Result<void> cancel(const api::WorkerInfo& worker, const OperationId& operation) = 0;
};

}  // namespace ktrdr::services
