#include <algorithm>

#include "arguments.h"
#include "cursor.h"
#include "ktrdr/api/operation.h"
#include "ktrdr/api/training.h"
#include "routes.h"

namespace ktrdr::server {
namespace {

using endpoints::call;
using http::Method;

using CancelReply = endpoints::Reply<api::CancelResponse, 202>;
using ResumeReply = endpoints::Reply<api::ResumeOperationResponse>;
using StatusReply = endpoints::Reply<api::StatusUpdateResponse, 202>;

// The query of the list. "resuming" is a status of the Python project; here nothing ever has it.
struct OperationsQuery {
  std::optional<std::string> status;
  std::optional<std::string> operation_type, worker_id, cursor;
  bool active_only = false;
  std::int64_t limit = 10, offset = 0;
};
constexpr const char* kResuming = "resuming";

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

Result<storage::ListQuery> list_query(const OperationsQuery& query) {
  storage::ListQuery list{.operation_type = query.operation_type,
                          .active_only = query.active_only,
                          .limit = query.limit,
                          .offset = query.offset};
  if (query.status) list.status = api::parse_operation_status(*query.status);
  if (query.worker_id) {
    TRY_ASSIGN(list.worker, WorkerId::parse(*query.worker_id));
  }
  TRY_ASSIGN(list.after, place_of(query.cursor));
  return list;
}

std::vector<api::OperationSummary> summaries_of(const std::vector<api::Operation>& operations, Clock& clock) {
  std::vector<api::OperationSummary> summaries;
  for (const auto& operation : operations) summaries.push_back(summary_of(operation, clock));
  return summaries;
}

Result<api::OperationListResponse> list_operations(RouteContext& context, const OperationsQuery& query) {
  TRY_ASSIGN(storage::ListQuery list, list_query(query));
  const bool nothing_can_match = query.status == kResuming;
  if (nothing_can_match) list.limit = 0;
  TRY_ASSIGN(const storage::OperationPage page, context.operations.list(list));
  return api::OperationListResponse{.data = summaries_of(page.operations, context.clock),
                                    .total_count = nothing_can_match ? 0 : page.total_count,
                                    .active_count = page.active_count,
                                    .next_cursor = cursor_of(page.next)};
}

Result<api::OperationListResponse> list_children(RouteContext& context, const OperationId& id) {
  TRY_ASSIGN(const auto children, context.operations.children(id));
  const auto is_active = [](const api::Operation& child) { return !is_finished(child.status); };
  return api::OperationListResponse{
      .data = summaries_of(children, context.clock),
      .total_count = static_cast<std::int64_t>(children.size()),
      .active_count = std::count_if(children.begin(), children.end(), is_active)};
}

Result<api::OperationResponse> retry_operation(RouteContext& context, const OperationId& id,
                                               const storage::Precondition& if_match,
                                               const std::optional<storage::IdempotencyKey>& key) {
  TRY_ASSIGN(api::Operation operation, context.operations.retry(id, if_match, key));
  context.wake_dispatcher();
  return api::OperationResponse{.data = std::move(operation)};
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

Error ended_before(const api::Operation& operation) {
  return {ErrorCode::kConflict, "Operation " + operation.operation_id + " is already " +
                                    std::string(to_string(operation.status)) +
                                    ": it ended before the cancel was acted on."};
}

// 200 when it is cancelled, 202 when its worker has not stopped yet, 409 when it ended in another way before
// that.
void answer_cancel(const CancelReply& reply, const Result<api::Operation>& operation,
                   const std::string& reason) {
  if (!operation.ok()) return reply(operation.error());
  if (is_finished(operation->status) && operation->status != api::OperationStatus::kCancelled) {
    return reply(ended_before(*operation));
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
  context.operations.when_finished(*requested, kCancelAnswerWithin, [reply, reason](const auto& operation) {
    answer_cancel(reply, operation, reason);
  });
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

Result<api::OperationStatus> wanted_status(const api::StatusUpdateRequest& request) {
  if (const auto status = api::parse_operation_status(lower_case(request.status))) return *status;
  return Error(ErrorCode::kInvalidArgument,
               "'status' must be one of pending, running, completed, failed, cancelled.");
}

void update_status(RouteContext& context, const StatusReply& reply, const OperationId& id,
                   const api::StatusUpdateRequest& request, const storage::Precondition& if_match) {
  const auto status = wanted_status(request);
  if (!status.ok()) return reply(status.error());
  const auto before = context.operations.get(id);
  if (!before.ok()) return reply(before.error());
  const auto updated =
      context.operations.update_status(id, *status, request.error_message.value_or(""), if_match);
  if (!updated.ok()) return reply(updated.error());
  const auto answer_with = [reply, was = before->status,
                            wanted = *status](const Result<api::Operation>& now) {
    if (!now.ok()) return reply(now.error());
    if (is_finished(now->status) && now->status != wanted) return reply(ended_before(*now));
    reply(api::StatusUpdateResponse{.operation_id = now->operation_id,
                                    .previous_status = was,
                                    .new_status = now->status,
                                    .version = now->version},
          is_finished(now->status) ? 200 : 202);
  };
  if (is_finished(updated->status)) return answer_with(*updated);
  context.operations.when_finished(*updated, kCancelAnswerWithin, answer_with);
}

}  // namespace
}  // namespace ktrdr::server

namespace ktrdr::endpoints {

template <>
std::vector<QueryField<server::OperationsQuery>> query_fields<server::OperationsQuery>() {
  using server::OperationsQuery;
  auto statuses = api::words_of<api::OperationStatus>();
  statuses.emplace_back(server::kResuming);
  return {
      one_of_words("status", &OperationsQuery::status, std::move(statuses),
                   "Only operations of this status (resuming: none, it is another project's)."),
      text("operation_type", &OperationsQuery::operation_type, "Only operations of this type."),
      text("worker_id", &OperationsQuery::worker_id, "Only operations that this worker was the last to own."),
      flag("active_only", &OperationsQuery::active_only, "Only pending and running ones."),
      whole_number("limit", &OperationsQuery::limit, {1, 1000}, "How many at most, newest first."),
      whole_number("offset", &OperationsQuery::offset, {0, 1'000'000},
                   "How many to leave out; `cursor` is faster and does not skip or repeat."),
      text("cursor", &OperationsQuery::cursor, "The page that follows: next_cursor of the one before.")};
}

}  // namespace ktrdr::endpoints

namespace ktrdr::server {

EndpointTable operation_endpoints(RouteContext& c) {
  const std::string operation = "/api/v1/operations/{operation_id}";
  return {{.method = Method::kGet,
           .path = "/api/v1/operations",
           .name = "list_operations",
           .summary = "A page of operations, newest first.",
           .call = call(
               [&c](const endpoints::Query<OperationsQuery>& query) { return list_operations(c, *query); })},
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
           .path = operation + "/children",
           .name = "list_children",
           .summary = "What was made from an operation (its retries), oldest first.",
           .errors = {ErrorCode::kNotFound},
           .call = call([&c](const OperationId& id) { return list_children(c, id); })},
          {.method = Method::kPost,
           .path = operation + "/retry",
           .name = "retry_operation",
           .summary = "The same training from its beginning, as a new operation.",
           .errors = {ErrorCode::kNotFound, ErrorCode::kConflict},
           .call = call([&c](const OperationId& id, const storage::Precondition& if_match,
                             const std::optional<storage::IdempotencyKey>& key) {
             return retry_operation(c, id, if_match, key);
           })},
          {.method = Method::kPatch,
           .path = operation + "/status",
           .name = "update_operation_status",
           .summary =
               "Cancel it, or give up an attempt that nobody has claimed. Nothing else is set from outside.",
           .errors = {ErrorCode::kNotFound, ErrorCode::kConflict},
           .call = call([&c](const StatusReply& reply, const OperationId& id,
                             const api::StatusUpdateRequest& request, const storage::Precondition& if_match) {
             update_status(c, reply, id, request, if_match);
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
