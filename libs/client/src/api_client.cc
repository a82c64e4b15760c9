#include "ktrdr/client/api_client.h"

#include <utility>

#include "answers.h"

namespace ktrdr::client {
namespace {

constexpr std::size_t kIdempotencyKeyBytes = 16;

internal::Peer server_at(const std::string& url) {
  return {"ktrdr server", url, "Is `ktrdr serve` running?"};
}

// An OperationId has been checked: it needs no escaping.
std::string path_of(const OperationId& id, const std::string& rest = "") {
  return "/operations/" + id.value + rest;
}

// The types are words such as "training"; anything else is escaped, so that it can't become another
// parameter.
std::string escaped(const std::string& text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string escaped_text;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (is_plain) escaped_text += c;
    else escaped_text.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
  }
  return escaped_text;
}

std::string query_of(const OperationFilter& filter) {
  std::string query;
  const auto add = [&query](const std::string& name, const std::string& value) {
    query += (query.empty() ? "?" : "&") + name + "=" + value;
  };
  if (filter.status) add("status", std::string(to_string(*filter.status)));
  if (filter.operation_type) add("operation_type", escaped(*filter.operation_type));
  if (filter.limit) add("limit", std::to_string(*filter.limit));
  if (filter.offset) add("offset", std::to_string(*filter.offset));
  if (filter.active_only) add("active_only", "true");
  return query;
}

}  // namespace

ApiClient::ApiClient(ServerAddress server, Duration timeout)
    : server_(std::move(server)), timeout_(timeout) {}

Result<HttpAnswer> ApiClient::send(const Call& call) {
  HttpRequest request{.method = call.method,
                      .url = server_.url + "/api/v1" + call.path,
                      .body = call.body,
                      .timeout = timeout_};
  if (!server_.token.empty()) request.headers.push_back({"Authorization", "Bearer " + server_.token});
  const bool may_repeat = !call.idempotency_key.empty();
  if (may_repeat) request.headers.push_back({"Idempotency-Key", call.idempotency_key});

  Result<HttpAnswer> answer = http_.request(request);
  const bool is_lost = !answer.ok() && answer.error().code == ErrorCode::kUnavailable;
  return is_lost && may_repeat ? http_.request(request) : std::move(answer);
}

template <class Answer>
Result<Answer> ApiClient::ask(const Call& call) {
  const internal::Peer server = server_at(server_.url);
  Result<HttpAnswer> answer = send(call);
  if (!answer.ok()) return internal::cannot_reach(server, std::move(answer).error());
  return internal::read_answer<Answer>(server, *answer);
}

// ---- for people ----

Result<api::HealthResponse> ApiClient::health() { return ask<api::HealthResponse>({"GET", "/health"}); }

Result<api::StartTrainingResponse> ApiClient::start_training(const api::StartTrainingRequest& request) {
  return ask<api::StartTrainingResponse>(
      {"POST", "/trainings/start", api::to_json(request), random_hex(kIdempotencyKeyBytes)});
}

Result<api::OperationListResponse> ApiClient::list_operations(const OperationFilter& filter) {
  return ask<api::OperationListResponse>({"GET", "/operations" + query_of(filter)});
}

Result<api::OperationResponse> ApiClient::operation(const OperationId& id) {
  return ask<api::OperationResponse>({"GET", path_of(id)});
}

Result<api::CancelResponse> ApiClient::cancel(const OperationId& id, const api::CancelRequest& request) {
  return ask<api::CancelResponse>({"DELETE", path_of(id), api::to_json(request)});
}

Result<api::ResumeOperationResponse> ApiClient::resume(const OperationId& id,
                                                       const api::ResumeOperationRequest& request) {
  return ask<api::ResumeOperationResponse>(
      {"POST", path_of(id, "/resume"), api::to_json(request), random_hex(kIdempotencyKeyBytes)});
}

Result<api::ResultsResponse> ApiClient::results(const OperationId& id) {
  return ask<api::ResultsResponse>({"GET", path_of(id, "/results")});
}

Result<api::MetricsResponse> ApiClient::metrics(const OperationId& id) {
  return ask<api::MetricsResponse>({"GET", path_of(id, "/metrics")});
}

Result<api::CheckpointResponse> ApiClient::checkpoint(const OperationId& id) {
  return ask<api::CheckpointResponse>({"GET", "/checkpoints/" + id.value});
}

Result<api::MessageResponse> ApiClient::delete_checkpoint(const OperationId& id) {
  return ask<api::MessageResponse>({"DELETE", "/checkpoints/" + id.value});
}

Result<std::vector<api::WorkerInfo>> ApiClient::workers() {
  return ask<std::vector<api::WorkerInfo>>({"GET", "/workers"});
}

// ---- for workers ----

Result<api::WorkerInfo> ApiClient::register_worker(const api::WorkerRegistration& registration) {
  return ask<api::WorkerInfo>({"POST", "/workers/register", api::to_json(registration)});
}

Result<api::TrainingJob> ApiClient::job(const OperationId& id) {
  return ask<api::TrainingJob>({"GET", path_of(id, "/job")});
}

Result<api::ClaimAnswer> ApiClient::claim(const OperationId& id, const api::ClaimRequest& request) {
  return ask<api::ClaimAnswer>({"POST", path_of(id, "/claim"), api::to_json(request)});
}

Result<api::HeartbeatAnswer> ApiClient::heartbeat(const OperationId& id,
                                                  const api::HeartbeatRequest& request) {
  return ask<api::HeartbeatAnswer>({"POST", path_of(id, "/heartbeat"), api::to_json(request)});
}

Result<api::CommitCheckpointAnswer> ApiClient::commit_checkpoint(
    const OperationId& id, const api::CommitCheckpointRequest& request) {
  return ask<api::CommitCheckpointAnswer>({"POST", path_of(id, "/checkpoints"), api::to_json(request)});
}

Result<api::CommitCheckpointAnswer> ApiClient::rewind(const OperationId& id,
                                                      const api::RewindRequest& request) {
  return ask<api::CommitCheckpointAnswer>({"POST", path_of(id, "/rewind"), api::to_json(request)});
}

Result<api::AppliedAnswer> ApiClient::complete(const OperationId& id, const api::CompleteRequest& request) {
  return ask<api::AppliedAnswer>({"POST", path_of(id, "/complete"), api::to_json(request)});
}

Result<api::AppliedAnswer> ApiClient::fail(const OperationId& id, const api::FailRequest& request) {
  return ask<api::AppliedAnswer>({"POST", path_of(id, "/fail"), api::to_json(request)});
}

Result<api::AppliedAnswer> ApiClient::stopped(const OperationId& id, const api::StoppedRequest& request) {
  return ask<api::AppliedAnswer>({"POST", path_of(id, "/stopped"), api::to_json(request)});
}

}  // namespace ktrdr::client
