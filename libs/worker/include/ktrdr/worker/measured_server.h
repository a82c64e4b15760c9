// Counts, for Prometheus, how the server answers, and passes everything on. docs/metrics.md says what each
// metric means. Owned by the process, outlives the registry's last scrape; safe from any thread.
#pragma once

#include "ktrdr/core/clock.h"
#include "ktrdr/core/synchronized.h"
#include "ktrdr/metrics/registry.h"
#include "ktrdr/worker/server_api.h"

namespace ktrdr::worker {

class MeasuredServer final : public ServerApi {
 public:
  MeasuredServer(const Clock& clock, ServerApi& server, metrics::Registry& registry);

  Result<api::TrainingJob> job(const OperationId& id) override;
  Result<api::ClaimAnswer> claim(const OperationId& id, const api::ClaimRequest& request) override;
  Result<api::HeartbeatAnswer> heartbeat(const OperationId& id,
                                         const api::HeartbeatRequest& request) override;
  Result<api::CommitCheckpointAnswer> commit_checkpoint(const OperationId& id,
                                                        const api::CommitCheckpointRequest& request) override;
  Result<api::CommitCheckpointAnswer> rewind(const OperationId& id,
                                             const api::RewindRequest& request) override;
  Result<api::AppliedAnswer> complete(const OperationId& id, const api::CompleteRequest& request) override;
  Result<api::AppliedAnswer> fail(const OperationId& id, const api::FailRequest& request) override;
  Result<api::AppliedAnswer> stopped(const OperationId& id, const api::StoppedRequest& request) override;

  // Whether the server took this worker's registration, the sign of life of an idle worker too.
  void note_registration(bool taken);

 private:
  // The lease of the claimed operation as it looks from here. A heartbeat that is answered after the last
  // word begins none anew.
  struct Lease {
    bool is_held = false;
    Duration renewed_at{0};
  };

  // Refused writes, by what was to be written.
  struct Stale {
    explicit Stale(metrics::Registry& registry);
    metrics::Counter claim, heartbeat, checkpoint, rewind, complete, fail, stopped;
  };

  template <class Answer>
  Answer last(metrics::Counter& stale, Answer answer);
  void count_heartbeat(const Result<api::HeartbeatAnswer>& answer);
  void bring_up_to_date();

  const Clock& clock_;
  ServerApi& server_;
  Synchronized<Lease> lease_;
  metrics::Counter accepted_, refused_, unanswered_, fallbacks_;
  Stale stale_;
  metrics::Gauge heartbeat_age_, reachable_;
};

}  // namespace ktrdr::worker
