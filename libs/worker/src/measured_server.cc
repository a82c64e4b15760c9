#include "ktrdr/worker/measured_server.h"

namespace ktrdr::worker {
namespace {

metrics::Counter heartbeats(metrics::Registry& registry, const char* outcome) {
  return registry.counter(
      {"ktrdr_heartbeats_total", "Heartbeats of claimed operations by the answer to them."},
      {{"outcome", outcome}});
}

metrics::Counter stale_writes(metrics::Registry& registry, const char* kind) {
  return registry.counter({"ktrdr_stale_writes_refused_total",
                           "Writes refused because another attempt or worker owns the operation."},
                          {{"kind", kind}});
}

template <class Answer>
Answer counted(metrics::Counter& stale, Answer answer) {
  if (!answer.ok() && answer.error().code == ErrorCode::kStale) stale.add();
  return answer;
}

}  // namespace

MeasuredServer::Stale::Stale(metrics::Registry& registry)
    : claim(stale_writes(registry, "claim")),
      heartbeat(stale_writes(registry, "heartbeat")),
      checkpoint(stale_writes(registry, "checkpoint")),
      rewind(stale_writes(registry, "rewind")),
      complete(stale_writes(registry, "complete")),
      fail(stale_writes(registry, "fail")),
      stopped(stale_writes(registry, "stopped")) {}

MeasuredServer::MeasuredServer(const Clock& clock, ServerApi& server, metrics::Registry& registry)
    : clock_(clock),
      server_(server),
      accepted_(heartbeats(registry, "accepted")),
      refused_(heartbeats(registry, "refused")),
      unanswered_(heartbeats(registry, "failed")),
      fallbacks_(registry.counter({"ktrdr_checkpoint_fallbacks_total",
                                   "Resumes from the checkpoint before, because the newest was damaged."})),
      stale_(registry),
      heartbeat_age_(
          registry.gauge({"ktrdr_heartbeat_age_seconds",
                          "Since the server last accepted a sign of life; 0 without an operation."})),
      reachable_(registry.gauge(
          {"ktrdr_server_reachable", "1 when the server took this worker's last registration."})) {
  registry.before_each_scrape([this] { bring_up_to_date(); });
}

void MeasuredServer::note_registration(bool taken) { reachable_.set(taken ? 1 : 0); }

// Whatever counts as an answer to the last word ends the lease.
template <class Answer>
Answer MeasuredServer::last(metrics::Counter& stale, Answer answer) {
  if (answer.ok() || !may_be_answered_later(answer.error())) lease_.lock()->is_held = false;
  return counted(stale, std::move(answer));
}

void MeasuredServer::count_heartbeat(const Result<api::HeartbeatAnswer>& answer) {
  if (!answer.ok() && may_be_answered_later(answer.error())) return unanswered_.add();
  auto lease = lease_.lock();
  if (answer.ok()) {
    accepted_.add();
    lease->renewed_at = clock_.monotonic();
  } else {
    refused_.add();
    lease->is_held = false;
  }
}

void MeasuredServer::bring_up_to_date() {
  const Lease lease = *lease_.lock();
  const std::chrono::duration<double> age = clock_.monotonic() - lease.renewed_at;
  heartbeat_age_.set(lease.is_held ? age.count() : 0);
}

// ---- the calls ----

Result<api::TrainingJob> MeasuredServer::job(const OperationId& id) { return server_.job(id); }

Result<api::ClaimAnswer> MeasuredServer::claim(const OperationId& id, const api::ClaimRequest& request) {
  auto answer = counted(stale_.claim, server_.claim(id, request));
  if (answer.ok()) *lease_.lock() = {.is_held = true, .renewed_at = clock_.monotonic()};
  return answer;
}

Result<api::HeartbeatAnswer> MeasuredServer::heartbeat(const OperationId& id,
                                                       const api::HeartbeatRequest& request) {
  auto answer = counted(stale_.heartbeat, server_.heartbeat(id, request));
  count_heartbeat(answer);
  return answer;
}

Result<api::CommitCheckpointAnswer> MeasuredServer::commit_checkpoint(
    const OperationId& id, const api::CommitCheckpointRequest& request) {
  return counted(stale_.checkpoint, server_.commit_checkpoint(id, request));
}

Result<api::CommitCheckpointAnswer> MeasuredServer::rewind(const OperationId& id,
                                                           const api::RewindRequest& request) {
  auto answer = counted(stale_.rewind, server_.rewind(id, request));
  if (answer.ok()) fallbacks_.add();
  return answer;
}

Result<api::AppliedAnswer> MeasuredServer::complete(const OperationId& id,
                                                    const api::CompleteRequest& request) {
  return last(stale_.complete, server_.complete(id, request));
}

Result<api::AppliedAnswer> MeasuredServer::fail(const OperationId& id, const api::FailRequest& request) {
  return last(stale_.fail, server_.fail(id, request));
}

Result<api::AppliedAnswer> MeasuredServer::stopped(const OperationId& id,
                                                   const api::StoppedRequest& request) {
  return last(stale_.stopped, server_.stopped(id, request));
}

}  // namespace ktrdr::worker
