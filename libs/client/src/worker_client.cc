#include "ktrdr/client/worker_client.h"

#include <utility>

#include "answers.h"

namespace ktrdr::client {
namespace {

internal::Peer worker_at(const std::string& url) {
  return {"worker", url, "Is `ktrdr-worker` running there?"};
}

}  // namespace

WorkerClient::WorkerClient(std::string token, Duration timeout)
    : token_(std::move(token)), timeout_(timeout) {}

Result<HttpAnswer> WorkerClient::send(const WorkerEndpoint& worker, const Call& call) {
  HttpRequest request{
      .method = call.method, .url = worker.url + call.path, .body = call.body, .timeout = timeout_};
  if (!token_.empty()) request.headers.push_back({"Authorization", "Bearer " + token_});
  Result<HttpAnswer> answer = http_.request(request);
  if (!answer.ok()) return internal::cannot_reach(worker_at(worker.url), std::move(answer).error());
  return answer;
}

template <class Answer>
Result<Answer> WorkerClient::ask(const WorkerEndpoint& worker, const Call& call) {
  TRY_ASSIGN(const HttpAnswer answer, send(worker, call));
  return internal::read_answer<Answer>(worker_at(worker.url), answer);
}

Result<api::WorkerHealth> WorkerClient::health(const WorkerEndpoint& worker) {
  return ask<api::WorkerHealth>(worker, {"GET", "/health"});
}

Result<api::TrainingStartedResponse> WorkerClient::start(const WorkerEndpoint& worker,
                                                         const api::TrainingStartRequest& request) {
  return ask<api::TrainingStartedResponse>(worker, {"POST", "/training/start", api::to_json(request)});
}

Result<api::TrainingStartedResponse> WorkerClient::resume(const WorkerEndpoint& worker,
                                                          const api::TrainingResumeRequest& request) {
  return ask<api::TrainingStartedResponse>(worker, {"POST", "/training/resume", api::to_json(request)});
}

Result<void> WorkerClient::cancel(const WorkerEndpoint& worker, const OperationId& id) {
  TRY_ASSIGN(const HttpAnswer answer, send(worker, {"DELETE", "/api/v1/operations/" + id.value + "/cancel"}));
  if (!internal::is_success(answer)) return internal::error_of(worker_at(worker.url), answer);
  return {};
}

}  // namespace ktrdr::client
