#include "measured_worker_gateway.h"

#include <utility>

namespace ktrdr::server {
namespace {

metrics::Counter calls(metrics::Registry& registry, const char* call, const char* outcome) {
  return registry.counter({"ktrdr_worker_calls_total", "Calls to workers, by how they ended."},
                          {{"call", call}, {"outcome", outcome}});
}

}  // namespace

MeasuredWorkerGateway::Outcomes::Outcomes(metrics::Registry& registry, const char* call)
    : taken(calls(registry, call, "taken")),
      refused(calls(registry, call, "refused")),
      unreachable(calls(registry, call, "unreachable")) {}

Result<void> MeasuredWorkerGateway::Outcomes::counted(Result<void> answer) {
  if (answer.ok()) taken.add();
  else if (answer.error().code == ErrorCode::kUnavailable) unreachable.add();
  else refused.add();
  return answer;
}

MeasuredWorkerGateway::MeasuredWorkerGateway(metrics::Registry& registry, services::WorkerGateway& inner)
    : inner_(inner), start_(registry, "start"), resume_(registry, "resume"), cancel_(registry, "cancel") {}

Result<void> MeasuredWorkerGateway::start(const api::WorkerInfo& worker,
                                          const api::TrainingStartRequest& request) {
  return start_.counted(inner_.start(worker, request));
}

Result<void> MeasuredWorkerGateway::resume(const api::WorkerInfo& worker,
                                           const api::TrainingResumeRequest& request) {
  return resume_.counted(inner_.resume(worker, request));
}

Result<void> MeasuredWorkerGateway::cancel(const api::WorkerInfo& worker, const OperationId& operation) {
  return cancel_.counted(inner_.cancel(worker, operation));
}

}  // namespace ktrdr::server
