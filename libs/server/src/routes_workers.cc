#include "arguments.h"
#include "ktrdr/api/worker.h"
#include "routes.h"

namespace ktrdr::server {
namespace {

using endpoints::call;
using http::Method;

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

Result<api::WorkerInfo> register_worker(RouteContext& context, const api::WorkerRegistration& registration,
                                        const std::string& remote_address) {
  TRY(check_endpoint(registration.endpoint_url, remote_address));
  TRY_ASSIGN(api::WorkerInfo added, context.workers.add(registration));
  if (added.status == "available") context.wake_dispatcher();
  return added;
}

Result<api::ClaimAnswer> claim(RouteContext& context, const OperationId& id,
                               const api::ClaimRequest& request) {
  TRY_ASSIGN(api::ClaimAnswer claimed, context.operations.claim(id, request));
  claimed.heartbeat_interval_ms = context.heartbeat_interval.count();
  return claimed;
}

struct WorkersQuery {
  std::optional<std::string> worker_type, status;
};

Result<std::vector<api::WorkerInfo>> list_workers(RouteContext& context, const WorkersQuery& query) {
  std::vector<api::WorkerInfo> workers = context.workers.list();
  std::erase_if(workers, [&](const api::WorkerInfo& worker) {
    return query.worker_type.value_or(worker.worker_type) != worker.worker_type ||
           query.status.value_or(worker.status) != worker.status;
  });
  return workers;
}

// A row of what workers write: each is fenced by (attempt, worker_id) in the store.
endpoints::Endpoint fenced(const std::string& last, std::string name, std::string summary,
                           endpoints::Call call) {
  return {.method = Method::kPost,
          .path = "/api/v1/operations/{operation_id}/" + last,
          .name = std::move(name),
          .summary = std::move(summary),
          .errors = {ErrorCode::kNotFound, ErrorCode::kStale, ErrorCode::kConflict},
          .call = std::move(call)};
}

}  // namespace
}  // namespace ktrdr::server

namespace ktrdr::endpoints {

template <>
std::vector<QueryField<server::WorkersQuery>> query_fields<server::WorkersQuery>() {
  using server::WorkersQuery;
  return {one_of_words(
              "worker_type", &WorkersQuery::worker_type,
              {"training", "cpu_training", "gpu_host", "backtesting", "agent_design", "agent_assessment"},
              "Only workers of this type."),
          text("status", &WorkersQuery::status,
               "Only workers that are available, busy or temporarily_unavailable; another word: none.")};
}

}  // namespace ktrdr::endpoints

namespace ktrdr::server {

EndpointTable worker_endpoints(RouteContext& c) {
  return {
      {.method = Method::kGet,
       .path = "/api/v1/workers",
       .name = "list_workers",
       .summary = "The workers that gave a sign of life, by name.",
       .call = call([&c](const endpoints::Query<WorkersQuery>& query) { return list_workers(c, *query); })},
      {.method = Method::kPost,
       .path = "/api/v1/workers/register",
       .name = "register_worker",
       .summary = "A worker's sign of life, from the address where it can be called.",
       .call =
           call([&c](const api::WorkerRegistration& registration, const endpoints::RemoteAddress& remote) {
             return register_worker(c, registration, remote.value);
           })},
      {.method = Method::kGet,
       .path = "/api/v1/workers/{worker_id}",
       .name = "get_worker",
       .summary = "One worker.",
       .errors = {ErrorCode::kNotFound},
       .call = call(c.workers, &services::WorkerRegistry::get)}};
}

EndpointTable attempt_endpoints(RouteContext& c) {
  using services::OperationsService;
  OperationsService& operations = c.operations;
  return {
      {.method = Method::kGet,
       .path = "/api/v1/operations/{operation_id}/job",
       .name = "get_job",
       .summary = "What a worker reads before it claims: the request, and where to go on.",
       .errors = {ErrorCode::kNotFound},
       .call = call(operations, &OperationsService::job)},
      fenced("claim", "claim_operation", "A worker makes an attempt its own.",
             call([&c](const OperationId& id, const api::ClaimRequest& request) {
               return claim(c, id, request);
             })),
      fenced("heartbeat", "send_heartbeat", "Progress, and the question whether to go on.",
             call(operations, &OperationsService::heartbeat)),
      fenced("metrics", "add_operation_metrics", "Rows of finished epochs.",
             call(operations, &OperationsService::add_metrics)),
      fenced("checkpoints", "commit_checkpoint", "A checkpoint is on the disk: make it the current one.",
             call(operations, &OperationsService::commit_checkpoint)),
      fenced("rewind", "rewind_operation", "The newest checkpoint is damaged: go back to the one before.",
             call(operations, &OperationsService::rewind)),
      fenced("complete", "complete_operation", "The model is published.",
             call(operations, &OperationsService::complete)),
      fenced("fail", "fail_operation", "The training failed.", call(operations, &OperationsService::fail)),
      fenced("stopped", "stop_operation", "The worker stopped on request and saved its place.",
             call(operations, &OperationsService::stopped))};
}

}  // namespace ktrdr::server
