#include "arguments.h"
#include "ktrdr/api/training.h"
#include "routes.h"

namespace ktrdr::server {
namespace {

using endpoints::call;
using http::Method;

using StartReply = endpoints::Reply<api::StartTrainingResponse>;

Result<api::StartTrainingResponse> start_training(RouteContext& context,
                                                  const api::StartTrainingRequest& request,
                                                  const std::optional<storage::IdempotencyKey>& key) {
  if (request.data_dir && !context.may_name_data_dir) {
    return Error(ErrorCode::kForbidden,
                 "A server without tokens takes no 'data_dir'; start it with --market-data DIR.");
  }
  return context.trainings.start(request, key);
}

// Reading market data takes its time: it happens on a queue of its own.
void start_training_on_its_queue(RouteContext& context, const StartReply& reply,
                                 const api::StartTrainingRequest& request,
                                 const std::optional<storage::IdempotencyKey>& key) {
  const bool posted = context.starts.post([&context, reply, request, key] {
    const auto started = start_training(context, request, key);
    if (started.ok()) context.wake_dispatcher();
    reply(started);
  });
  if (!posted) reply(Error(ErrorCode::kUnavailable, "Too many starts are waiting; try again soon."));
}

Result<api::TrainingResult> finished_training(RouteContext& context, const OperationId& id) {
  TRY_ASSIGN(const api::Operation operation, context.operations.get(id));
  if (operation.status != api::OperationStatus::kCompleted || !operation.result_summary) {
    return Error(ErrorCode::kNotFound,
                 "Operation " + id.value + " is not completed; its results are not found.");
  }
  return api::from_json<api::TrainingResult>(operation.result_summary->text, api::UnknownKeys::kIgnore);
}

Result<api::PerformanceResponse> performance(RouteContext& context, const OperationId& id) {
  TRY_ASSIGN(api::TrainingResult result, finished_training(context, id));
  return api::PerformanceResponse{.task_id = id.value,
                                  .training_metrics = std::move(result.training_metrics),
                                  .test_metrics = std::move(result.test_metrics),
                                  .model_info = std::move(result.model_info)};
}

}  // namespace

EndpointTable training_endpoints(RouteContext& c) {
  return {{.method = Method::kPost,
           .path = "/api/v1/trainings/start",
           .name = "start_training",
           .summary = "Start a training. It waits in the queue where no worker is free.",
           .errors = {ErrorCode::kConflict},
           .call = call([&c](const StartReply& reply, const api::StartTrainingRequest& request,
                             const std::optional<storage::IdempotencyKey>& key) {
             start_training_on_its_queue(c, reply, request, key);
           })},
          {.method = Method::kGet,
           .path = "/api/v1/trainings/{operation_id}/performance",
           .name = "get_training_performance",
           .summary = "The metrics and the model of a completed training.",
           .errors = {ErrorCode::kNotFound},
           .call = call([&c](const OperationId& id) { return performance(c, id); })}};
}

}  // namespace ktrdr::server
