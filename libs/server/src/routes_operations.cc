#include "arguments.h"
#include "ktrdr/api/operation.h"
#include "ktrdr/api/training.h"
#include "routes.h"

namespace ktrdr::server {
namespace {

using endpoints::call;
using http::Method;

using CancelReply = endpoints::Reply<api::CancelResponse, 202>;
using ResumeReply = endpoints::Reply<api::ResumeOperationResponse>;

constexpr Duration kCancelAnswerWithin = std::chrono::seconds(10);

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

Result<api::OperationListResponse> list_operations(RouteContext& context, const storage::ListQuery& query) {
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

void resume_operation(RouteContext& context, const ResumeReply& reply, const OperationId& id,
                      const api::ResumeOperationRequest& request, const storage::Precondition& if_match,
                      const std::optional<storage::IdempotencyKey>& key) {
  context.operations.resume(id, request, if_match, key,
                            [reply](const Result<api::ResumeOperationData>& data) {
                              if (data.ok()) reply(api::ResumeOperationResponse{.data = *data});
                              else reply(data.error());
                            });
}

// 200 when it is cancelled, 202 when its worker has not stopped yet, 409 when it ended in another way before
// that.
void answer_cancel(const CancelReply& reply, const Result<api::Operation>& operation,
                   const std::string& reason) {
  if (!operation.ok()) return reply(operation.error());
  if (is_finished(operation->status) && operation->status != api::OperationStatus::kCancelled) {
    return reply(Error(ErrorCode::kConflict, "Operation " + operation->operation_id + " is already " +
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
  reply(response, done ? 200 : 202);
}

void cancel_operation(RouteContext& context, const CancelReply& reply, const OperationId& id,
                      const api::CancelRequest& request, const storage::Precondition& if_match) {
  const std::string reason = request.reason.value_or("Cancelled by user");
  const auto requested = context.operations.cancel(id, reason, if_match);
  if (!requested.ok() || is_finished(requested->status)) return answer_cancel(reply, requested, reason);
  // The request waits without a thread until the worker has saved its place.
  context.operations.when_finished(
      {requested->operation_id}, kCancelAnswerWithin,
      [reply, reason](const auto& operation) { answer_cancel(reply, operation, reason); });
}

}  // namespace
}  // namespace ktrdr::server

namespace ktrdr::endpoints {

template <>
std::vector<QueryField<storage::ListQuery>> query_fields<storage::ListQuery>() {
  using storage::ListQuery;
  return {one_of("status", &ListQuery::status, "Only operations of this status."),
          text("operation_type", &ListQuery::operation_type, "Only operations of this type."),
          flag("active_only", &ListQuery::active_only, "Only pending and running ones."),
          whole_number("limit", &ListQuery::limit, {1, 1000}, "How many at most, newest first."),
          whole_number("offset", &ListQuery::offset, {0, 1'000'000}, "How many of the newest to leave out.")};
}

}  // namespace ktrdr::endpoints

namespace ktrdr::server {

EndpointTable operation_endpoints(RouteContext& c) {
  const std::string operation = "/api/v1/operations/{operation_id}";
  return {{.method = Method::kGet,
           .path = "/api/v1/operations",
           .name = "list_operations",
           .summary = "A page of operations, newest first.",
           .call = call([&c](const endpoints::Query<storage::ListQuery>& query) {
             return list_operations(c, *query);
           })},
          {.method = Method::kGet,
           .path = operation,
           .name = "get_operation",
           .summary = "Everything that is known of one operation.",
           .errors = {ErrorCode::kNotFound},
           .call = call([&c](const OperationId& id) { return get_operation(c, id); })},
          {.method = Method::kDelete,
           .path = operation,
           .name = "cancel_operation",
           .summary = "Cancel: the worker saves its place and stops. 202: it has not stopped yet.",
           .errors = {ErrorCode::kNotFound, ErrorCode::kConflict},
           .call = call([&c](const CancelReply& reply, const OperationId& id,
                             const endpoints::OptionalBody<api::CancelRequest>& request,
                             const storage::Precondition& if_match) {
             cancel_operation(c, reply, id, request.value, if_match);
           })},
          {.method = Method::kPost,
           .path = operation + "/resume",
           .name = "resume_operation",
           .summary = "Go on from the newest good checkpoint, as attempt + 1.",
           .errors = {ErrorCode::kNotFound, ErrorCode::kCheckpointNotFound, ErrorCode::kConflict,
                      ErrorCode::kCheckpointCorrupted},
           .call = call([&c](const ResumeReply& reply, const OperationId& id,
                             const endpoints::OptionalBody<api::ResumeOperationRequest>& request,
                             const storage::Precondition& if_match,
                             const std::optional<storage::IdempotencyKey>& key) {
             resume_operation(c, reply, id, request.value, if_match, key);
           })},
          {.method = Method::kGet,
           .path = operation + "/metrics",
           .name = "get_operation_metrics",
           .summary = "The history of the training, an entry an epoch.",
           .errors = {ErrorCode::kNotFound},
           .call = call([&c](const OperationId& id) { return metrics(c, id); })},
          {.method = Method::kGet,
           .path = operation + "/results",
           .name = "get_operation_results",
           .summary = "The result of a completed or failed operation.",
           .errors = {ErrorCode::kNotFound},
           .call = call([&c](const OperationId& id) { return results(c, id); })}};
}

}  // namespace ktrdr::server
