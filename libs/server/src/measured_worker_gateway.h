// Counts the calls to workers and how they ended. Safe to call from any thread.
#pragma once

#include "ktrdr/metrics/registry.h"
#include "ktrdr/services/worker_gateway.h"

namespace ktrdr::server {

class MeasuredWorkerGateway final : public services::WorkerGateway {
 public:
  // Both outlive it.
  MeasuredWorkerGateway(metrics::Registry& registry, services::WorkerGateway& inner);

  Result<void> start(const api::WorkerInfo& worker, const api::TrainingStartRequest& request) override;
  Result<void> resume(const api::WorkerInfo& worker, const api::TrainingResumeRequest& request) override;
  Result<void> cancel(const api::WorkerInfo& worker, const OperationId& operation) override;

 private:
  struct Outcomes {
    Outcomes(metrics::Registry& registry, const char* call);
    Result<void> counted(Result<void> answer);
    metrics::Counter taken, refused, unreachable;
  };

  services::WorkerGateway& inner_;
  Outcomes start_, resume_, cancel_;
};

}  // namespace ktrdr::server
