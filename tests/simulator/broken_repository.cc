#include "broken_repository.h"

#include "intercepted_repository.h"

namespace ktrdr::simulator {
namespace {

struct Through {
  template <class Proceed>
  auto around(const Call&, Proceed proceed) {
    return proceed();
  }
};

class BrokenRepository final : private Through, public InterceptedRepository<Through> {
 public:
  BrokenRepository(storage::OperationsRepository& inner, Mutant mutant)
      : InterceptedRepository<Through>(inner, static_cast<Through&>(*this)), mutant_(mutant) {}

  Result<storage::Created> create(const storage::NewOperation& operation,
                                  const std::optional<storage::IdempotencyKey>& key) override {
    if (is(Mutant::kIdempotencyKeyForgotten)) return inner_.create(operation, std::nullopt);
    if (is(Mutant::kCreateLost) && key && inner_.get(operation.id).ok() == false) {
      return storage::Created{api::Operation{.operation_id = operation.id.value, .attempt = 1, .version = 1}};
    }
    return inner_.create(operation, key);
  }

  Result<storage::Resumed> try_resume(const OperationId& id, bool allow_changes,
                                      const storage::Precondition& precondition,
                                      const std::optional<storage::IdempotencyKey>& key) override {
    if (is(Mutant::kIdempotencyKeyForgotten))
      return inner_.try_resume(id, allow_changes, precondition, std::nullopt);
    if (is(Mutant::kPreconditionIgnored)) return inner_.try_resume(id, allow_changes, {}, key);
    auto resumed = inner_.try_resume(id, allow_changes, precondition, key);
    if (!is(Mutant::kResumeCutsOffARun) || resumed.ok()) return resumed;
    const auto row = inner_.get(id);
    if (!row.ok() || !row->worker_id || !row->checkpoint) return resumed;
    static_cast<void>(inner_.fail(id, {row->attempt, {*row->worker_id}}, "cut off"));
    return inner_.try_resume(id, allow_changes, {}, key);
  }

  Result<storage::Claimed> claim(const OperationId& id, const storage::Fence& fence,
                                 const std::string& worker_name) override {
    auto claimed = inner_.claim(id, fence, worker_name);
    if (!is(Mutant::kTwoClaims) || claimed.ok()) return claimed;
    const auto row = inner_.get(id);
    if (!row.ok() || row->status != api::OperationStatus::kRunning || row->attempt != fence.attempt)
      return claimed;
    return inner_.claim(id, {row->attempt, {*row->worker_id}}, worker_name);
  }

  Result<storage::HeartbeatOutcome> heartbeat(const OperationId& id,
                                              const api::HeartbeatRequest& beat) override {
    auto outcome = inner_.heartbeat(id, beat);
    if (outcome.ok()) return outcome;
    if (is(Mutant::kZombieHeartbeatAccepted)) return storage::HeartbeatOutcome{};
    return outcome;
  }

  Result<storage::Committed> commit_checkpoint(const OperationId& id, const storage::Fence& fence,
                                               const api::CheckpointInfo& checkpoint) override {
    const auto before = inner_.checkpoints(id);
    const bool is_there = before.ok() && !before->empty() && before->front().ref == checkpoint.ref;
    if (is(Mutant::kRepeatedCommitRefused) && is_there)
      return Error(ErrorCode::kConflict, "The parent is not the current checkpoint.");
    auto committed = inner_.commit_checkpoint(id, fence, checkpoint);
    if (is(Mutant::kRetentionDropsTheOneBefore) && committed.ok() && !is_there && before.ok() &&
        !before->empty()) {
      committed->dropped.push_back(before->front().ref);
    }
    return committed;
  }

  Result<storage::Completed> complete(const OperationId& id, const api::CompleteRequest& request) override {
    if (is(Mutant::kCompleteNotStored)) {
      const auto row = inner_.get(id);
      if (row.ok() && row->status == api::OperationStatus::kRunning && row->cancel_requested)
        return storage::Completed{*row, {}};
    }
    return inner_.complete(id, request);
  }

  Result<api::Operation> stopped(const OperationId& id, const api::StoppedRequest& request,
                                 const storage::RestartRule& rule) override {
    return inner_.stopped(id, at_this_attempt(id, request), rule);
  }
  Result<api::Operation> fail(const OperationId& id, const storage::Fence& fence, const std::string& message,
                              const storage::RestartRule& rule) override {
    storage::RestartRule broken = rule;
    if (is(Mutant::kPoisonNotNoticed)) broken.failed_at.reset();
    if (is(Mutant::kRestartedForEver) && rule.at_most > 0) broken.at_most = 1000;
    return inner_.fail(id, fence, message, broken);
  }

  Result<api::Operation> request_cancel(const OperationId& id, const std::string& reason,
                                        const storage::Precondition& precondition) override {
    auto cancelled = inner_.request_cancel(id, reason, precondition);
    if (cancelled.ok()) return cancelled;
    if (is(Mutant::kPreconditionIgnored)) return inner_.request_cancel(id, reason, {});
    if (is(Mutant::kRefusedCancelIsStored) && cancelled.error().code == ErrorCode::kPreconditionFailed)
      static_cast<void>(inner_.request_cancel(id, reason, {}));
    return cancelled;
  }

  Result<bool> end_orphan(const storage::Pulse& watched, const std::string& message,
                          const storage::RestartRule& rule) override {
    if (!is(Mutant::kOrphanNotWatched)) return inner_.end_orphan(watched, message, rule);
    storage::Pulse now = watched;
    const auto pulses = inner_.pulses();
    for (const storage::Pulse& pulse : *pulses) {
      if (pulse.id == watched.id && pulse.attempt == watched.attempt) now = pulse;
    }
    return inner_.end_orphan(now, message, rule);
  }

  Result<Keep> keep(const OperationId& id) override {
    auto keep = inner_.keep(id);
    if (is(Mutant::kSweepTakesCurrentAttempt) && keep.ok()) keep->whole_attempt.reset();
    return keep;
  }

 private:
  bool is(Mutant mutant) const { return mutant_ == mutant; }

  // A write of an earlier attempt passes for one of the current.
  template <class Request>
  Request at_this_attempt(const OperationId& id, Request request) {
    const auto row = inner_.get(id);
    if (!is(Mutant::kStaleAttemptAccepted) || !row.ok() || !row->worker_id) return request;
    if (request.attempt >= row->attempt) return request;
    request.attempt = row->attempt;
    request.worker_id = *row->worker_id;
    return request;
  }

  const Mutant mutant_;
};

}  // namespace

std::unique_ptr<storage::OperationsRepository> break_repository(storage::OperationsRepository& inner,
                                                                Mutant mutant) {
  return std::make_unique<BrokenRepository>(inner, mutant);
}

}  // namespace ktrdr::simulator
