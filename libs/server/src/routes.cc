#include "routes.h"

#include <algorithm>

#include "handler.h"
#include "ktrdr/api/training.h"
#include "ktrdr/api/worker.h"

namespace ktrdr::server {
namespace {

using http::Access;
using http::Method;
using http::Request;
using http::Response;

constexpr Duration kCancelAnswerWithin = std::chrono::seconds(10);
constexpr std::string_view kVersion = "0.1.0";

// ---- trainings ----

Response start_training(RouteContext& context, const Request& request) {
  const auto start = [&]() -> Result<api::StartTrainingResponse> {
    TRY_ASSIGN(const api::StartTrainingRequest input,
               api::from_json<api::StartTrainingRequest>(request.body));
    TRY_ASSIGN(const auto key, idempotency_key(request));
    if (input.data_dir && !context.may_name_data_dir) {
      return Error(ErrorCode::kForbidden,
                   "A server without tokens takes no 'data_dir'; start it with --market-data DIR.");
    }
    return context.trainings.start(input, key);
  };
  const auto started = start();
  if (started.ok()) context.wake_dispatcher();
  return answer(started);
}

void start_training_on_its_queue(RouteContext& context, const Request& request, http::Responder responder) {
  auto parked = std::make_shared<http::Responder>(std::move(responder));
  const bool posted =
      context.starts.post([&context, request, parked] { parked->respond(start_training(context, request)); });
  if (!posted) {
    parked->respond(
        http::error_response(Error(ErrorCode::kUnavailable, "Too many starts are waiting; try again soon.")));
  }
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

// ---- operations ----

Result<std::int64_t> number_in(const Request& request, std::string_view name, std::int64_t fallback,
                               std::int64_t least, std::int64_t most) {
  const auto text = request.query_value(name);
  if (!text) return fallback;
  std::int64_t number = 0;
  const auto [end, status] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (status != std::errc{} || end != text->data() + text->size() || number < least || number > most) {
    return Error(ErrorCode::kInvalidArgument, "The query's '" + std::string(name) +
                                                  "' must be a whole number from " + std::to_string(least) +
                                                  " to " + std::to_string(most) + ".");
  }
  return number;
}

Result<storage::ListQuery> list_query(const Request& request) {
  storage::ListQuery query;
  if (const auto text = request.query_value("status")) {
    query.status = api::parse_operation_status(*text);
    if (!query.status) {
      return Error(ErrorCode::kInvalidArgument,
                   "The query's 'status' must be one of pending, running, completed, failed, cancelled.");
    }
  }
  if (const auto type = request.query_value("operation_type")) query.operation_type = std::string(*type);
  const auto active = request.query_value("active_only");
  if (active && *active != "true" && *active != "false") {
    return Error(ErrorCode::kInvalidArgument, "The query's 'active_only' must be true or false.");
  }
  query.active_only = active && *active == "true";
  TRY_ASSIGN(query.limit, number_in(request, "limit", 10, 1, 1000));
  TRY_ASSIGN(query.offset, number_in(request, "offset", 0, 0, 1'000'000));
  return query;
}

std::optional<double> seconds_between(const std::optional<std::string>& from, const std::string& to) {
  if (!from) return std::nullopt;
  const auto begin = parse_iso8601_ms(*from), end = parse_iso8601_ms(to);
  if (!begin.ok() || !end.ok()) return std::nullopt;
  return static_cast<double>(*end - *begin) / 1000;
}

api::OperationSummary summary_of(const api::Operation& operation, Clock& clock) {
  std::optional<std::string> checkpoint;
  if (operation.checkpoint) {
    checkpoint =
        operation.checkpoint->epoch ? "epoch " + std::to_string(*operation.checkpoint->epoch) : "start";
  }
  return {.operation_id = operation.operation_id,
          .operation_type = operation.operation_type,
          .status = operation.status,
          .phase = operation.phase,
          .attempt = operation.attempt,
          .version = operation.version,
          .created_at = operation.created_at,
          .progress_percentage = operation.progress.percentage,
          .current_step = operation.progress.current_step,
          .symbol = operation.metadata.symbol,
          .checkpoint_summary = checkpoint,
          .duration_seconds = seconds_between(operation.started_at,
                                              operation.completed_at.value_or(iso8601_utc(clock.wall_ms())))};
}

Result<api::OperationListResponse> list_operations(RouteContext& context, const Request& request) {
  TRY_ASSIGN(const storage::ListQuery query, list_query(request));
  TRY_ASSIGN(const storage::OperationPage page, context.operations.list(query));
  api::OperationListResponse response{.total_count = page.total_count, .active_count = page.active_count};
  for (const auto& operation : page.operations) response.data.push_back(summary_of(operation, context.clock));
  return response;
}

Result<api::OperationResponse> get_operation(RouteContext& context, const OperationId& id) {
  TRY_ASSIGN(api::Operation operation, context.operations.get(id));
  return api::OperationResponse{.data = std::move(operation)};
}

Result<api::MetricsResponse> metrics(RouteContext& context, const OperationId& id) {
  TRY_ASSIGN(const api::Operation operation, context.operations.get(id));
  return api::MetricsResponse{.data = {.operation_id = id.value,
                                       .operation_type = operation.operation_type,
                                       .metrics = operation.metrics.value_or(api::OperationMetrics{})}};
}

Result<api::ResultsResponse> results(RouteContext& context, const OperationId& id) {
  TRY_ASSIGN(const api::Operation operation, context.operations.get(id));
  if (operation.status != api::OperationStatus::kCompleted &&
      operation.status != api::OperationStatus::kFailed) {
    return Error(ErrorCode::kInvalidArgument, "Operation " + id.value + " has no results yet: it is " +
                                                  std::string(to_string(operation.status)) + ".");
  }
  return api::ResultsResponse{.operation_id = id.value,
                              .operation_type = operation.operation_type,
                              .status = operation.status,
                              .results = operation.result_summary.value_or(api::JsonText{"{}"})};
}

void resume_operation(RouteContext& context, const Request& request, http::Responder responder) {
  auto parked = std::make_shared<http::Responder>(std::move(responder));
  const auto resume = [&]() -> Result<void> {
    TRY_ASSIGN(const OperationId id, operation_id(request));
    TRY_ASSIGN(const auto input, optional_body<api::ResumeOperationRequest>(request));
    TRY_ASSIGN(const auto if_match, precondition(request));
    TRY_ASSIGN(const auto key, idempotency_key(request));
    context.operations.resume(
        id, input, if_match, key, [parked](const Result<api::ResumeOperationData>& data) {
          parked->respond(data.ok()
                              ? Response{.body = api::to_json(api::ResumeOperationResponse{.data = *data})}
                              : http::error_response(data.error()));
        });
    return {};
  };
  if (const auto refused = resume(); !refused.ok()) parked->respond(http::error_response(refused.error()));
}

// 200 when it is cancelled, 202 when its worker has not stopped yet, 409 when it ended in another way before
// that.
Response cancel_answer(const Result<api::Operation>& operation, const std::string& reason) {
  if (!operation.ok()) return http::error_response(operation.error());
  if (is_finished(operation->status) && operation->status != api::OperationStatus::kCancelled) {
    return http::error_response(
        Error(ErrorCode::kConflict, "Operation " + operation->operation_id + " is already " +
                                        std::string(to_string(operation->status)) +
                                        ": it ended before the cancel was acted on."));
  }
  const bool done = operation->status == api::OperationStatus::kCancelled;
  const api::CancelResponse response{.data = {.operation_id = operation->operation_id,
                                              .status = operation->status,
                                              .cancelled_at = operation->completed_at,
                                              .cancellation_reason = reason,
                                              .task_cancelled = done,
                                              .remote_cancelled = done && operation->worker_id.has_value(),
                                              .version = operation->version}};
  return {.status = done ? 200 : 202, .body = api::to_json(response)};
}

void cancel_operation(RouteContext& context, const Request& request, http::Responder responder) {
  std::string reason = "Cancelled by user";
  const auto cancel = [&]() -> Result<api::Operation> {
    TRY_ASSIGN(const OperationId id, operation_id(request));
    TRY_ASSIGN(const auto input, optional_body<api::CancelRequest>(request));
    TRY_ASSIGN(const auto if_match, precondition(request));
    if (input.reason) reason = *input.reason;
    return context.operations.cancel(id, reason, if_match);
  };
  const auto requested = cancel();
  if (!requested.ok() || is_finished(requested->status)) {
    responder.respond(cancel_answer(requested, reason));
    return;
  }
  // The request waits without a thread until the worker has saved its place.
  auto parked = std::make_shared<http::Responder>(std::move(responder));
  context.operations.when_finished(
      {requested->operation_id}, kCancelAnswerWithin,
      [parked, reason](const auto& operation) { parked->respond(cancel_answer(operation, reason)); });
}

// ---- checkpoints ----

Result<api::CheckpointResponse> show_checkpoint(RouteContext& context, const OperationId& id) {
  TRY_ASSIGN(std::vector<api::CheckpointInfo> kept, context.checkpoints.checkpoints(id));
  const api::CheckpointInfo current = kept.front();
  return api::CheckpointResponse{
      .data = {.operation_id = id.value,
               .checkpoint_type = current.checkpoint_type,
               .created_at = current.created_at,
               .state = current,
               .kept = std::move(kept),
               .artifacts_path = (context.checkpoints_root / id.value / current.ref.to_string()).string()}};
}

Result<api::MessageResponse> delete_checkpoint(RouteContext& context, const OperationId& id) {
  TRY(context.checkpoints.remove(id, {}));
  return api::MessageResponse{.message = "The checkpoints of " + id.value + " are deleted."};
}

// ---- workers ----

// The server calls a worker only where it registered from, so a registration can't point it at somebody else.
Result<void> check_endpoint(const std::string& endpoint_url, const std::string& remote_address) {
  constexpr std::string_view kScheme = "http://";
  const std::string_view rest =
      std::string_view(endpoint_url).substr(std::min(kScheme.size(), endpoint_url.size()));
  std::string_view host = rest.substr(0, rest.rfind(':'));
  if (host.size() >= 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  const auto is_loopback = [](std::string_view address) {
    return address.starts_with("127.") || address == "::1";
  };
  if (host == remote_address || (is_loopback(host) && is_loopback(remote_address))) return {};
  return Error(ErrorCode::kForbidden,
               "'endpoint_url' must name the address that this registration comes from; start the worker "
               "with --address.");
}

Response register_worker(RouteContext& context, const Request& request) {
  const auto add = [&]() -> Result<api::WorkerInfo> {
    TRY_ASSIGN(const auto registration, api::from_json<api::WorkerRegistration>(request.body));
    TRY(check_endpoint(registration.endpoint_url, request.remote_address));
    return context.workers.add(registration);
  };
  const auto added = add();
  if (added.ok() && added->status == "available") context.wake_dispatcher();
  return answer(added);
}

Result<api::WorkerInfo> get_worker(RouteContext& context, const Request& request) {
  TRY_ASSIGN(const WorkerId id, WorkerId::parse(request.parameter("worker_id")));
  return context.workers.get(id);
}

Result<api::ClaimAnswer> claim(RouteContext& context, const OperationId& id,
                               const api::ClaimRequest& request) {
  TRY_ASSIGN(api::ClaimAnswer claimed, context.operations.claim(id, request));
  claimed.heartbeat_interval_ms = context.heartbeat_interval.count();
  return claimed;
}

Response health(RouteContext& context) {
  return {.body = api::to_json(api::HealthResponse{.version = std::string(kVersion),
                                                   .workers_connected = context.workers.connected_count()})};
}

}  // namespace

http::Router make_router(RouteContext& c) {
  using api::AppliedAnswer, api::CommitCheckpointAnswer, api::TrainingJob;
  const std::string api = "/api/v1", operation = api + "/operations/{operation_id}";
  auto& operations = c.operations;
  return http::Router({
      {Method::kGet, api + "/health", Access::kPublic, [&c](const Request&) { return health(c); }},

      {Method::kPost, api + "/trainings/start", Access::kToken,
       [&c](const Request& r, http::Responder responder) {
         start_training_on_its_queue(c, r, std::move(responder));
       }},
      {Method::kGet, api + "/trainings/{operation_id}/performance", Access::kToken,
       for_operation<api::PerformanceResponse>([&c](const OperationId& id) { return performance(c, id); })},

      {Method::kGet, api + "/operations", Access::kToken,
       [&c](const Request& r) { return answer(list_operations(c, r)); }},
      {Method::kGet, operation, Access::kToken,
       for_operation<api::OperationResponse>([&c](const OperationId& id) { return get_operation(c, id); })},
      {Method::kDelete, operation, Access::kToken,
       [&c](const Request& r, http::Responder responder) { cancel_operation(c, r, std::move(responder)); }},
      {Method::kPost, operation + "/resume", Access::kToken,
       [&c](const Request& r, http::Responder responder) { resume_operation(c, r, std::move(responder)); }},
      {Method::kGet, operation + "/metrics", Access::kToken,
       for_operation<api::MetricsResponse>([&c](const OperationId& id) { return metrics(c, id); })},
      {Method::kGet, operation + "/results", Access::kToken,
       for_operation<api::ResultsResponse>([&c](const OperationId& id) { return results(c, id); })},

      {Method::kGet, api + "/checkpoints/{operation_id}", Access::kToken,
       for_operation<api::CheckpointResponse>(
           [&c](const OperationId& id) { return show_checkpoint(c, id); })},
      {Method::kDelete, api + "/checkpoints/{operation_id}", Access::kToken,
       for_operation<api::MessageResponse>([&c](const OperationId& id) { return delete_checkpoint(c, id); })},

      {Method::kGet, api + "/workers", Access::kToken,
       [&c](const Request&) { return Response{.body = api::to_json(c.workers.list())}; }},
      {Method::kPost, api + "/workers/register", Access::kToken,
       [&c](const Request& r) { return register_worker(c, r); }},
      {Method::kGet, api + "/workers/{worker_id}", Access::kToken,
       [&c](const Request& r) { return answer(get_worker(c, r)); }},

      // What workers say. Every write is fenced by (attempt, worker_id) in the store.
      {Method::kGet, operation + "/job", Access::kToken,
       for_operation<TrainingJob>([&operations](const OperationId& id) { return operations.job(id); })},
      {Method::kPost, operation + "/claim", Access::kToken,
       on_operation<api::ClaimRequest, api::ClaimAnswer>(
           [&c](const auto& id, const auto& r) { return claim(c, id, r); })},
      {Method::kPost, operation + "/heartbeat", Access::kToken,
       on_operation<api::HeartbeatRequest, api::HeartbeatAnswer>(
           [&operations](const auto& id, const auto& r) { return operations.heartbeat(id, r); })},
      {Method::kPost, operation + "/checkpoints", Access::kToken,
       on_operation<api::CommitCheckpointRequest, CommitCheckpointAnswer>(
           [&operations](const auto& id, const auto& r) { return operations.commit_checkpoint(id, r); })},
      {Method::kPost, operation + "/rewind", Access::kToken,
       on_operation<api::RewindRequest, CommitCheckpointAnswer>(
           [&operations](const auto& id, const auto& r) { return operations.rewind(id, r); })},
      {Method::kPost, operation + "/complete", Access::kToken,
       on_operation<api::CompleteRequest, AppliedAnswer>(
           [&operations](const auto& id, const auto& r) { return operations.complete(id, r); })},
      {Method::kPost, operation + "/fail", Access::kToken,
       on_operation<api::FailRequest, AppliedAnswer>(
           [&operations](const auto& id, const auto& r) { return operations.fail(id, r); })},
      {Method::kPost, operation + "/stopped", Access::kToken,
       on_operation<api::StoppedRequest, AppliedAnswer>(
           [&operations](const auto& id, const auto& r) { return operations.stopped(id, r); })},
  });
}

}  // namespace ktrdr::server
