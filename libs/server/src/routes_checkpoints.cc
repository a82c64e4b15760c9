#include "arguments.h"
#include "cursor.h"
#include "ktrdr/api/checkpoint.h"
#include "routes.h"

namespace ktrdr::server {
namespace {

using endpoints::call;
using endpoints::Query;
using http::Method;

using CleanupReply = endpoints::Reply<api::CheckpointCleanupResponse>;

constexpr std::int64_t kMostDays = 36'500;
constexpr Duration kDay = std::chrono::hours(24);

struct CheckpointsQuery {
  std::optional<std::int64_t> older_than_days;
  std::int64_t limit = 1000;
  std::optional<std::string> cursor;
};

struct CleanupQuery {
  std::optional<std::int64_t> max_age_days;
};

// `operation` may be without its epochs: then only the position is known.
api::CheckpointState state_of(const api::CheckpointInfo& checkpoint, const api::Operation& operation) {
  api::CheckpointState state{checkpoint};
  if (operation.progress.context.total_epochs > 0)
    state.total_epochs = operation.progress.context.total_epochs;
  if (!operation.metrics || !checkpoint.epoch) return state;
  for (const api::EpochMetrics& row : operation.metrics->epochs) {
    if (row.epoch > *checkpoint.epoch) break;
    if (row.val_loss)
      state.best_val_loss = std::min(state.best_val_loss.value_or(*row.val_loss), *row.val_loss);
    if (row.epoch < *checkpoint.epoch) continue;
    state.train_loss = row.train_loss;
    state.train_accuracy = row.train_accuracy;
    state.val_loss = row.val_loss;
    state.val_accuracy = row.val_accuracy;
    state.learning_rate = row.learning_rate;
  }
  return state;
}

Result<api::CheckpointResponse> show_checkpoint(RouteContext& context, const OperationId& id) {
  TRY_ASSIGN(std::vector<api::CheckpointInfo> kept, context.checkpoints.checkpoints(id));
  TRY_ASSIGN(const api::Operation operation, context.operations.get(id));
  const api::CheckpointInfo current = kept.front();
  return api::CheckpointResponse{
      .data = {.operation_id = id.value,
               .checkpoint_type = current.checkpoint_type,
               .created_at = current.created_at,
               .state = state_of(current, operation),
               .kept = std::move(kept),
               .artifacts_path = context.checkpoints_place + "/" + id.value + "/" + current.ref.to_string()}};
}

Result<api::CheckpointListResponse> list_checkpoints(RouteContext& context, const CheckpointsQuery& query) {
  storage::CheckpointQuery list{.limit = query.limit, .with_total = !query.cursor};
  if (query.older_than_days)
    list.created_before = context.checkpoints.moment_before(*query.older_than_days * kDay);
  TRY_ASSIGN(list.after, place_of(query.cursor));
  TRY_ASSIGN(const storage::CheckpointPage page, context.checkpoints.list(list));
  api::CheckpointListResponse response{.total_count = page.total_count, .next_cursor = cursor_of(page.next)};
  for (const auto& [operation, version, checkpoint] : page.checkpoints) {
    response.data.push_back({.operation_id = operation.value,
                             .checkpoint_type = checkpoint.checkpoint_type,
                             .created_at = checkpoint.created_at,
                             .state_summary = state_of(checkpoint, {}),
                             .artifacts_size_bytes = checkpoint.size_bytes});
  }
  return response;
}

Result<api::CheckpointStatsResponse> stats(RouteContext& context) {
  TRY_ASSIGN(const storage::CheckpointTotals totals, context.checkpoints.totals());
  return api::CheckpointStatsResponse{.total_checkpoints = totals.operations,
                                      .kept_checkpoints = totals.checkpoints,
                                      .total_size_bytes = totals.size_bytes,
                                      .oldest_checkpoint = totals.oldest_created_at};
}

// Deleting many files takes its time: it happens on the queue of slow work.
void clean_up(RouteContext& context, const CleanupReply& reply, std::int64_t max_age_days) {
  const bool posted = context.starts.post([&context, reply, max_age_days] {
    const auto cleaned = context.checkpoints.clean_up(max_age_days * kDay);
    if (!cleaned.ok()) return reply(cleaned.error());
    reply(api::CheckpointCleanupResponse{.checkpoints_deleted = cleaned->checkpoints_deleted,
                                         .orphan_artifacts_cleaned = cleaned->orphan_artifacts_cleaned});
  });
  if (!posted) reply(Error(ErrorCode::kUnavailable, "The server is too busy to clean up; try again soon."));
}

Result<api::CheckpointsDeletedResponse> delete_checkpoints(RouteContext& context, const OperationId& id,
                                                           const storage::Precondition& if_match) {
  TRY_ASSIGN(const std::int64_t version, context.checkpoints.remove(id, if_match));
  return api::CheckpointsDeletedResponse{.message = "The checkpoints of " + id.value + " are deleted.",
                                         .version = version};
}

}  // namespace
}  // namespace ktrdr::server

namespace ktrdr::endpoints {

template <>
std::vector<QueryField<server::CheckpointsQuery>> query_fields<server::CheckpointsQuery>() {
  using server::CheckpointsQuery;
  return {whole_number("older_than_days", &CheckpointsQuery::older_than_days, {0, server::kMostDays},
                       "Only those that are older than this."),
          whole_number("limit", &CheckpointsQuery::limit, {1, 1000}, "How many at most, newest first."),
          text("cursor", &CheckpointsQuery::cursor, "The page that follows: next_cursor of the one before.")};
}

template <>
std::vector<QueryField<server::CleanupQuery>> query_fields<server::CleanupQuery>() {
  return {whole_number("max_age_days", &server::CleanupQuery::max_age_days, {1, server::kMostDays},
                       "Those that are older go; absent: what the server was started with (30).")};
}

}  // namespace ktrdr::endpoints

namespace ktrdr::server {

EndpointTable checkpoint_endpoints(RouteContext& c) {
  const std::string checkpoints = "/api/v1/checkpoints", of_one = checkpoints + "/{operation_id}";
  return {
      {.method = Method::kGet,
       .path = checkpoints,
       .name = "list_checkpoints",
       .summary = "The current checkpoint of every operation, newest first.",
       .call = call([&c](const Query<CheckpointsQuery>& query) { return list_checkpoints(c, *query); })},
      {.method = Method::kGet,
       .path = checkpoints + "/stats",
       .name = "get_checkpoint_stats",
       .summary = "How many checkpoints are kept, how large and how old.",
       .call = call([&c] { return stats(c); })},
      {.method = Method::kPost,
       .path = checkpoints + "/cleanup",
       .name = "clean_up_checkpoints",
       .summary = "Delete old checkpoints of operations that are not live, and objects that no row names.",
       .call = call([&c](const CleanupReply& reply, const Query<CleanupQuery>& query) {
         clean_up(c, reply, query->max_age_days.value_or(c.checkpoint_max_age_days));
       })},
      {.method = Method::kGet,
       .path = of_one,
       .name = "get_checkpoint",
       .summary = "The current checkpoint of an operation, and the one before it.",
       .errors = {ErrorCode::kNotFound, ErrorCode::kCheckpointNotFound},
       .call = call([&c](const OperationId& id) { return show_checkpoint(c, id); })},
      {.method = Method::kDelete,
       .path = of_one,
       .name = "delete_checkpoints",
       .summary = "Delete the checkpoints of an operation that is not running.",
       .errors = {ErrorCode::kNotFound, ErrorCode::kCheckpointNotFound, ErrorCode::kConflict},
       .call = call([&c](const OperationId& id, const storage::Precondition& if_match) {
         return delete_checkpoints(c, id, if_match);
       })}};
}

}  // namespace ktrdr::server
