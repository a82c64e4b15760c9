#include "worker_routes.h"

#include "ktrdr/endpoints/call.h"
#include "ktrdr/endpoints/metrics_endpoint.h"

namespace ktrdr::worker {
namespace {

using endpoints::call;
using endpoints::EndpointTable;
using http::Access;
using http::Method;

Result<api::WorkerRoot> root(const TrainingWorker& worker) {
  const api::WorkerHealth health = worker.health();
  return api::WorkerRoot{.version = kVersion, .timestamp = health.timestamp, .worker_id = health.worker_id};
}

Result<api::MessageResponse> cancel(TrainingWorker& worker, const OperationId& id) {
  if (!worker.cancel(id)) {
    return Error(ErrorCode::kNotFound, "Operation " + id.value + " is not found on this worker.");
  }
  return api::MessageResponse{.message = "The training stops at its next batch and saves its place."};
}

}  // namespace

EndpointTable endpoint_table(TrainingWorker& worker, metrics::Registry& registry) {
  EndpointTable table = {
      {.method = Method::kGet,
       .path = "/",
       .name = "get_worker_root",
       .summary = "Who this is.",
       .access = Access::kPublic,
       .call = call([&worker] { return root(worker); })},
      {.method = Method::kGet,
       .path = "/health",
       .name = "get_worker_health",
       .summary = "Whether it trains, and what.",
       .access = Access::kPublic,
       .call = call([&worker]() -> Result<api::WorkerHealth> { return worker.health(); })},
      {.method = Method::kPost,
       .path = "/training/start",
       .name = "take_new_training",
       .summary = "Claim the operation, answer, and train in the background.",
       .errors = {ErrorCode::kNotFound, ErrorCode::kConflict},
       .call = call(worker, &TrainingWorker::start)},
      {.method = Method::kPost,
       .path = "/training/resume",
       .name = "take_resumed_training",
       .summary = "Verify the checkpoint, claim the operation, answer, and train on in the background.",
       .errors = {ErrorCode::kNotFound, ErrorCode::kCheckpointNotFound, ErrorCode::kCheckpointCorrupted,
                  ErrorCode::kConflict},
       .call = call(worker, &TrainingWorker::resume)},
      {.method = Method::kDelete,
       .path = "/api/v1/operations/{operation_id}/cancel",
       .name = "cancel_training",
       .summary = "Stop at the next batch and save the place.",
       .errors = {ErrorCode::kNotFound},
       .call = call([&worker](const OperationId& id) { return cancel(worker, id); })},
      endpoints::metrics_endpoint(registry)};
  endpoints::add_documentation(
      table,
      {.name = "ktrdr training worker", .version = kVersion, .description = "What the control plane calls."});
  return table;
}

}  // namespace ktrdr::worker
