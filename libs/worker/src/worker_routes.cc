#include "worker_routes.h"

#include "ktrdr/http/error_mapping.h"

namespace ktrdr::worker {
namespace {

using http::Access;
using http::Method;
using http::Request;
using http::Response;

template <class Output>
Response answer(const Result<Output>& result) {
  if (!result.ok()) return http::error_response(result.error());
  return {.body = api::to_json(*result)};
}

Result<api::TrainingStartedResponse> start(TrainingWorker& worker, const Request& request) {
  TRY_ASSIGN(const auto input, api::from_json<api::TrainingStartRequest>(request.body));
  return worker.start(input);
}

Result<api::TrainingStartedResponse> resume(TrainingWorker& worker, const Request& request) {
  TRY_ASSIGN(const auto input, api::from_json<api::TrainingResumeRequest>(request.body));
  return worker.resume(input);
}

Result<api::MessageResponse> cancel(TrainingWorker& worker, const Request& request) {
  TRY_ASSIGN(const OperationId id, OperationId::parse(request.parameter("operation_id")));
  if (!worker.cancel(id)) {
    return Error(ErrorCode::kNotFound, "Operation " + id.value + " is not found on this worker.");
  }
  return api::MessageResponse{.message = "The training stops at its next batch and saves its place."};
}

}  // namespace

http::Router make_worker_router(TrainingWorker& worker) {
  return http::Router({
      {Method::kPost, "/training/start", Access::kToken,
       [&](const Request& r) { return answer(start(worker, r)); }},
      {Method::kPost, "/training/resume", Access::kToken,
       [&](const Request& r) { return answer(resume(worker, r)); }},
      {Method::kDelete, "/api/v1/operations/{operation_id}/cancel", Access::kToken,
       [&](const Request& r) { return answer(cancel(worker, r)); }},
      {Method::kGet, "/health", Access::kPublic,
       [&](const Request&) { return Response{.body = api::to_json(worker.health())}; }},
  });
}

}  // namespace ktrdr::worker
