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

// "?a=1&b=2", of the parameters that are given.
class Query {
 public:
  Query& add(const std::string& name, const std::optional<std::string>& value) {
    if (value) text_ += (text_.empty() ? "?" : "&") + name + "=" + escaped(*value);
    return *this;
  }
  Query& add(const std::string& name, const std::optional<std::int64_t>& value) {
    return add(name, value ? std::optional(std::to_string(*value)) : std::nullopt);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string query_of(const OperationFilter& filter) {
  const auto status = filter.status ? std::optional(std::string(to_string(*filter.status))) : std::nullopt;
  return Query()
      .add("status", status)
      .add("operation_type", filter.operation_type)
      .add("limit", filter.limit)
      .add("offset", filter.offset)
      .add("active_only", filter.active_only ? std::optional<std::string>("true") : std::nullopt)
      .add("cursor", filter.cursor)
      .text();
}

std::string query_of(const CheckpointFilter& filter) {
  return Query()
      .add("older_than_days", filter.older_than_days)
      .add("limit", filter.limit)
      .add("cursor", filter.cursor)
      .text();
}

}  // namespace

ApiClient::ApiClient(ServerAddress server, Duration timeout)
    : server_(std::move(server)), timeout_(timeout) {}

Result<HttpAnswer> ApiClient::send(const Call& call) {
  HttpRequest request{.method = call.method,
                      .url = server_.url + "/api/v1" + call.path,
                      .body = call.body,
                      .timeout = call.within.value_or(timeout_)};
  if (!server_.token.empty()) request.headers.push_back({"Authorization", "Bearer " + server_.token});
  const bool may_repeat = !call.idempotency_key.empty();
  if (may_repeat) request.headers.push_back({"Idempotency-Key", call.idempotency_key});

  Result<HttpAnswer> answer = http_.request(request);
  // A 500 may hide that the change was made: the key makes sure of once.
  const bool is_lost = answer.ok() ? answer->status == 500 : answer.error().code == ErrorCode::kUnavailable;
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

Result<api::OperationListResponse> ApiClient::children(const OperationId& id) {
  return ask<api::OperationListResponse>({"GET", path_of(id, "/children")});
}

Result<api::EventsResponse> ApiClient::events(const OperationId& id, const EventFilter& filter) {
  return ask<api::EventsResponse>(
      {"GET", path_of(id, "/events") + Query().add("after", filter.after).add("limit", filter.limit).text()});
}

Result<api::OperationResponse> ApiClient::retry(const OperationId& id) {
  return ask<api::OperationResponse>({"POST", path_of(id, "/retry"), "", random_hex(kIdempotencyKeyBytes)});
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

Result<api::CheckpointsDeletedResponse> ApiClient::delete_checkpoint(const OperationId& id) {
  return ask<api::CheckpointsDeletedResponse>({"DELETE", "/checkpoints/" + id.value});
}

Result<api::CheckpointListResponse> ApiClient::list_checkpoints(const CheckpointFilter& filter) {
  return ask<api::CheckpointListResponse>({"GET", "/checkpoints" + query_of(filter)});
}

Result<api::CheckpointStatsResponse> ApiClient::checkpoint_stats() {
  return ask<api::CheckpointStatsResponse>({"GET", "/checkpoints/stats"});
}

Result<api::CheckpointCleanupResponse> ApiClient::clean_up_checkpoints(
    std::optional<std::int64_t> max_age_days) {
  return ask<api::CheckpointCleanupResponse>(
      {"POST", "/checkpoints/cleanup" + Query().add("max_age_days", max_age_days).text()});
}

Result<std::vector<api::WorkerInfo>> ApiClient::workers() {
  return ask<std::vector<api::WorkerInfo>>({"GET", "/workers"});
}

// ---- for workers ----

Result<api::WorkerInfo> ApiClient::register_worker(const api::WorkerRegistration& registration,
                                                   std::optional<Duration> within) {
  return ask<api::WorkerInfo>(
      {.method = "POST", .path = "/workers/register", .body = api::to_json(registration), .within = within});
}

Result<api::TrainingJob> ApiClient::job(const OperationId& id) {
  return ask<api::TrainingJob>({"GET", path_of(id, "/job")});
}

Result<api::ClaimAnswer> ApiClient::claim(const OperationId& id, const api::ClaimRequest& request,
                                          std::optional<Duration> within) {
  return ask<api::ClaimAnswer>(
      {.method = "POST", .path = path_of(id, "/claim"), .body = api::to_json(request), .within = within});
}

Result<api::HeartbeatAnswer> ApiClient::heartbeat(const OperationId& id, const api::HeartbeatRequest& request,
                                                  std::optional<Duration> within) {
  return ask<api::HeartbeatAnswer>(
      {.method = "POST", .path = path_of(id, "/heartbeat"), .body = api::to_json(request), .within = within});
}

Result<api::CommitCheckpointAnswer> ApiClient::commit_checkpoint(
    const OperationId& id, const api::CommitCheckpointRequest& request) {
  return ask<api::CommitCheckpointAnswer>({"POST", path_of(id, "/checkpoints"), api::to_json(request)});
}

Result<api::CommitCheckpointAnswer> ApiClient::rewind(const OperationId& id,
                                                      const api::RewindRequest& request,
                                                      std::optional<Duration> within) {
  return ask<api::CommitCheckpointAnswer>(
      {.method = "POST", .path = path_of(id, "/rewind"), .body = api::to_json(request), .within = within});
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
