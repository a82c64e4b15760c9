// What a worker asks its server. Every call asks once (with several servers, each once at most) and answers;
// silence never stops a worker, so whoever calls decides how long to go on asking. Safe to call from any
// thread.
#pragma once

#include "ktrdr/api/training.h"
#include "ktrdr/api/worker.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/core/result.h"

namespace ktrdr::worker {

class ServerApi {
 public:
  virtual ~ServerApi() = default;

  virtual Result<api::TrainingJob> job(const OperationId& id) = 0;
  virtual Result<api::ClaimAnswer> claim(const OperationId& id, const api::ClaimRequest& request) = 0;
  virtual Result<api::HeartbeatAnswer> heartbeat(const OperationId& id,
                                                 const api::HeartbeatRequest& request) = 0;
  virtual Result<api::CommitCheckpointAnswer> commit_checkpoint(
      const OperationId& id, const api::CommitCheckpointRequest& request) = 0;
  virtual Result<api::CommitCheckpointAnswer> rewind(const OperationId& id,
                                                     const api::RewindRequest& request) = 0;
  virtual Result<api::AppliedAnswer> complete(const OperationId& id, const api::CompleteRequest& request) = 0;
  virtual Result<api::AppliedAnswer> fail(const OperationId& id, const api::FailRequest& request) = 0;
  virtual Result<api::AppliedAnswer> stopped(const OperationId& id, const api::StoppedRequest& request) = 0;
};

// The server is away, or has trouble of its own (a full disk): the same question may be answered later.
// Everything else is an answer.
bool may_be_answered_later(const Error& error);

}  // namespace ktrdr::worker
