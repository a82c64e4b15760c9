// A repository that lets somebody stand around every call: `interceptor.around(Call, proceed)`, where
// proceed() makes the call and what around() returns is the answer.
#pragma once

#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::simulator {

enum class Method {
  kCreatedBefore,
  kCreate,
  kGet,
  kJob,
  kList,
  kRetry,
  kChildren,
  kResume,
  kClaim,
  kHeartbeat,
  kAddEpochs,
  kCommit,
  kRewind,
  kComplete,
  kFail,
  kStopped,
  kFailUnclaimed,
  kCancel,
  kPulses,
  kEndOrphan,
  kWaiting,
  kCheckpoints,
  kListCheckpoints,
  kCheckpointTotals,
  kDropCheckpoints,
  kKeep,
  kEvents,
  kLastEvents,
  kForgetKeys
};

std::string_view to_string(Method method);

// A call with what of its arguments somebody asks for; the pointers live as long as the call.
struct Call {
  Method method{};
  const OperationId* id = nullptr;
  std::optional<storage::Fence> fence;
  std::string request;  // equal for equal requests, of those whose repetition counts
  const std::optional<storage::IdempotencyKey>* key = nullptr;
  const storage::Precondition* precondition = nullptr;
  const OperationId* new_id = nullptr;
  const api::CheckpointInfo* checkpoint = nullptr;
  const api::RewindRequest* rewind = nullptr;
  const api::CompleteRequest* complete = nullptr;
  const api::StoppedRequest* stopped = nullptr;
  const storage::Pulse* pulse = nullptr;
  const storage::RestartRule* rule = nullptr;

  bool reads() const {
    switch (method) {
      case Method::kCreatedBefore:
      case Method::kGet:
      case Method::kJob:
      case Method::kList:
      case Method::kChildren:
      case Method::kListCheckpoints:
      case Method::kCheckpointTotals:
      case Method::kPulses:
      case Method::kWaiting:
      case Method::kCheckpoints:
      case Method::kEvents:
      case Method::kLastEvents:
      case Method::kKeep: return true;
      default: return false;
    }
  }
};

template <class Interceptor>
class InterceptedRepository : public storage::OperationsRepository {
 public:
  InterceptedRepository(storage::OperationsRepository& inner, Interceptor& interceptor)
      : inner_(inner), interceptor_(interceptor) {}

  Result<std::optional<api::Operation>> created_before(const storage::IdempotencyKey& key) override {
    return around({.method = Method::kCreatedBefore}, [&] { return inner_.created_before(key); });
  }
  Result<storage::Created> create(const storage::NewOperation& operation,
                                  const std::optional<storage::IdempotencyKey>& key) override {
    return around({.method = Method::kCreate, .id = &operation.id, .key = &key},
                  [&] { return inner_.create(operation, key); });
  }
  Result<api::Operation> get(const OperationId& id) override {
    return around({.method = Method::kGet, .id = &id}, [&] { return inner_.get(id); });
  }
  Result<api::TrainingJob> job(const OperationId& id) override {
    return around({.method = Method::kJob, .id = &id}, [&] { return inner_.job(id); });
  }
  Result<storage::OperationPage> list(const storage::ListQuery& query) override {
    return around({.method = Method::kList}, [&] { return inner_.list(query); });
  }
  Result<std::vector<api::Operation>> children(const OperationId& id) override {
    return around({.method = Method::kChildren, .id = &id}, [&] { return inner_.children(id); });
  }
  Result<storage::Created> retry(const OperationId& id, const OperationId& new_id,
                                 const storage::Precondition& precondition,
                                 const std::optional<storage::IdempotencyKey>& key) override {
    return around(
        {.method = Method::kRetry, .id = &id, .key = &key, .precondition = &precondition, .new_id = &new_id},
        [&] { return inner_.retry(id, new_id, precondition, key); });
  }
  Result<storage::Resumed> try_resume(const OperationId& id, bool allow_changes,
                                      const storage::Precondition& precondition,
                                      const std::optional<storage::IdempotencyKey>& key) override {
    return around({.method = Method::kResume, .id = &id, .key = &key, .precondition = &precondition},
                  [&] { return inner_.try_resume(id, allow_changes, precondition, key); });
  }
  Result<storage::Claimed> claim(const OperationId& id, const storage::Fence& fence,
                                 const std::string& worker_name) override {
    return around({.method = Method::kClaim, .id = &id, .fence = fence, .request = "claim"},
                  [&] { return inner_.claim(id, fence, worker_name); });
  }
  Result<storage::HeartbeatOutcome> heartbeat(const OperationId& id,
                                              const api::HeartbeatRequest& beat) override {
    return around({.method = Method::kHeartbeat, .id = &id, .fence = fence_of(beat)},
                  [&] { return inner_.heartbeat(id, beat); });
  }
  Result<std::int64_t> add_epochs(const OperationId& id, const storage::Fence& fence,
                                  const std::vector<api::EpochMetrics>& epochs) override {
    return around({.method = Method::kAddEpochs, .id = &id, .fence = fence},
                  [&] { return inner_.add_epochs(id, fence, epochs); });
  }
  Result<storage::Committed> commit_checkpoint(const OperationId& id, const storage::Fence& fence,
                                               const api::CheckpointInfo& checkpoint) override {
    return around({.method = Method::kCommit,
                   .id = &id,
                   .fence = fence,
                   .request = "commit " + checkpoint.ref.to_string(),
                   .checkpoint = &checkpoint},
                  [&] { return inner_.commit_checkpoint(id, fence, checkpoint); });
  }
  Result<storage::Committed> rewind(const OperationId& id, const storage::Fence& fence,
                                    const api::RewindRequest& request) override {
    return around({.method = Method::kRewind,
                   .id = &id,
                   .fence = fence,
                   .request = "rewind " + request.bad.to_string(),
                   .rewind = &request},
                  [&] { return inner_.rewind(id, fence, request); });
  }
  Result<storage::Completed> complete(const OperationId& id, const api::CompleteRequest& request) override {
    return around({.method = Method::kComplete,
                   .id = &id,
                   .fence = fence_of(request),
                   .request = "complete",
                   .complete = &request},
                  [&] { return inner_.complete(id, request); });
  }
  Result<api::Operation> fail(const OperationId& id, const storage::Fence& fence, const std::string& message,
                              const storage::RestartRule& rule) override {
    return around({.method = Method::kFail, .id = &id, .fence = fence, .request = "fail", .rule = &rule},
                  [&] { return inner_.fail(id, fence, message, rule); });
  }
  Result<api::Operation> stopped(const OperationId& id, const api::StoppedRequest& request,
                                 const storage::RestartRule& rule) override {
    return around({.method = Method::kStopped,
                   .id = &id,
                   .fence = fence_of(request),
                   .request = "stopped",
                   .stopped = &request,
                   .rule = &rule},
                  [&] { return inner_.stopped(id, request, rule); });
  }
  Result<api::Operation> fail_unclaimed(const OperationId& id, Attempt attempt,
                                        const std::string& message) override {
    return around({.method = Method::kFailUnclaimed, .id = &id},
                  [&] { return inner_.fail_unclaimed(id, attempt, message); });
  }
  Result<api::Operation> request_cancel(const OperationId& id, const std::string& reason,
                                        const storage::Precondition& precondition) override {
    return around({.method = Method::kCancel, .id = &id, .precondition = &precondition},
                  [&] { return inner_.request_cancel(id, reason, precondition); });
  }
  Result<std::vector<storage::Pulse>> pulses() override {
    return around({.method = Method::kPulses}, [&] { return inner_.pulses(); });
  }
  Result<bool> end_orphan(const storage::Pulse& watched, const std::string& message,
                          const storage::RestartRule& rule) override {
    return around({.method = Method::kEndOrphan, .id = &watched.id, .pulse = &watched, .rule = &rule},
                  [&] { return inner_.end_orphan(watched, message, rule); });
  }
  Result<std::vector<storage::Waiting>> waiting(std::int64_t limit) override {
    return around({.method = Method::kWaiting}, [&] { return inner_.waiting(limit); });
  }
  Result<std::vector<api::CheckpointInfo>> checkpoints(const OperationId& id) override {
    return around({.method = Method::kCheckpoints, .id = &id}, [&] { return inner_.checkpoints(id); });
  }
  Result<storage::CheckpointPage> list_checkpoints(const storage::CheckpointQuery& query) override {
    return around({.method = Method::kListCheckpoints}, [&] { return inner_.list_checkpoints(query); });
  }
  Result<storage::CheckpointTotals> checkpoint_totals() override {
    return around({.method = Method::kCheckpointTotals}, [&] { return inner_.checkpoint_totals(); });
  }
  Result<storage::Committed> drop_checkpoints(const OperationId& id,
                                              const storage::Precondition& precondition) override {
    return around({.method = Method::kDropCheckpoints, .id = &id, .precondition = &precondition},
                  [&] { return inner_.drop_checkpoints(id, precondition); });
  }
  Result<Keep> keep(const OperationId& id) override {
    return around({.method = Method::kKeep, .id = &id}, [&] { return inner_.keep(id); });
  }
  Result<storage::EventPage> events(const OperationId& id, const storage::EventQuery& query) override {
    return around({.method = Method::kEvents, .id = &id}, [&] { return inner_.events(id, query); });
  }
  Result<std::vector<std::int64_t>> last_events(const std::vector<OperationId>& ids) override {
    return around({.method = Method::kLastEvents}, [&] { return inner_.last_events(ids); });
  }
  Result<std::int64_t> forget_idempotency_keys(std::int64_t older_than_wall_ms) override {
    return around({.method = Method::kForgetKeys},
                  [&] { return inner_.forget_idempotency_keys(older_than_wall_ms); });
  }

 protected:
  storage::OperationsRepository& inner_;

 private:
  template <class Request>
  static storage::Fence fence_of(const Request& request) {
    return {request.attempt, {request.worker_id}};
  }
  template <class Proceed>
  auto around(const Call& call, Proceed proceed) {
    return interceptor_.around(call, proceed);
  }

  Interceptor& interceptor_;
};

}  // namespace ktrdr::simulator
