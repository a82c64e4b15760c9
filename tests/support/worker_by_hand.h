// A test that plays the worker: it leads operations through their states over HTTP, without training
// anything. Start the server without workers and with a lease that outlasts the test.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ktrdr/client/http_client.h"
#include "ktrdr/strategy/testing/market_generator.h"
#include "ktrdr/strategy/testing/strategy_text.h"
#include "support/test_system.h"

namespace ktrdr::system_test {

struct Request {
  std::string method, path, body;
  std::vector<client::HttpHeader> headers;
};

struct Answer {
  int status = 0;
  std::string body;

  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false); }
  // "200", "409 STALE"
  std::string outcome() const {
    if (status < 400) return std::to_string(status);
    return std::to_string(status) + " " + json().at("error").at("code").get<std::string>();
  }
  std::string detail() const { return json().at("detail"); }
};

class WorkerByHand {
 public:
  static constexpr const char* kId = "worker-1";
  static constexpr double kLeaseSeconds = 3600;

  explicit WorkerByHand(TestSystem& system) : system_(system), market_(system.folder() / "small-market") {
    std::filesystem::create_directories(market_);
    strategy::testing::write_market(market_, strategy::testing::make_market({}));
  }

  TestSystem& system() { return system_; }

  Answer send(const Request& request) {
    auto headers = request.headers;
    headers.push_back({"Authorization", "Bearer " + system_.token()});
    const auto answer = http_.request({.method = request.method,
                                       .url = system_.url() + "/api/v1" + request.path,
                                       .body = request.body,
                                       .headers = std::move(headers)});
    EXPECT_TRUE(answer.ok()) << request.path << (answer.ok() ? "" : answer.error().describe());
    return answer.ok() ? Answer{answer->status, answer->body} : Answer{};
  }
  void tell(const Request& request) {
    const Answer answer = send(request);
    EXPECT_EQ(answer.status, 200) << request.method << " " << request.path << ": " << answer.body;
  }

  static std::string path_of(const OperationId& id) { return "/operations/" + id.value; }

  api::StartTrainingRequest training(const std::optional<std::string>& task_id = {}) const {
    return {.strategy_yaml = strategy::testing::strategy_text(),
            .task_id = task_id,
            .data_dir = market_.string(),
            .seed = 7};
  }

  // ---- what a worker says ----

  static Request claim(const OperationId& id, std::int64_t attempt) {
    return {"POST", path_of(id) + "/claim", api::to_json(api::ClaimRequest{attempt, kId, "by hand"})};
  }
  static Request commit(const OperationId& id, CheckpointRef ref, std::optional<CheckpointRef> parent,
                        api::CheckpointType type = api::CheckpointType::kPeriodic) {
    return {"POST", path_of(id) + "/checkpoints",
            api::to_json(api::CommitCheckpointRequest{.attempt = ref.attempt,
                                                      .worker_id = kId,
                                                      .checkpoint = {.ref = ref,
                                                                     .parent = parent,
                                                                     .checkpoint_type = type,
                                                                     .epoch = ref.sequence,
                                                                     .start_epoch = ref.sequence + 1}})};
  }
  static Request stopped(const OperationId& id, std::int64_t attempt,
                         api::StopReason reason = api::StopReason::kShutdown) {
    return {"POST", path_of(id) + "/stopped",
            api::to_json(api::StoppedRequest{.attempt = attempt, .worker_id = kId, .reason = reason})};
  }
  static Request fail(const OperationId& id, std::int64_t attempt) {
    return {"POST", path_of(id) + "/fail", api::to_json(api::FailRequest{attempt, kId, "The loss is NaN."})};
  }
  static Request complete(const OperationId& id, std::int64_t attempt) {
    const api::TrainingResult result{
        .model_path = "models/m", .model_sha256 = std::string(64, 'a'), .seed = 7};
    return {"POST", path_of(id) + "/complete",
            api::to_json(api::CompleteRequest{.attempt = attempt,
                                              .worker_id = kId,
                                              .model_path = result.model_path,
                                              .model_sha256 = result.model_sha256,
                                              .result = {api::to_json(result)}})};
  }

  // ---- operations in a certain state ----

  OperationId waiting() {
    const auto started = system_.api().start_training(training());
    EXPECT_TRUE(started.ok()) << (started.ok() ? "" : started.error().describe());
    return {started.ok() ? started->task_id : "none"};
  }
  OperationId claimed() {
    const OperationId id = waiting();
    tell(claim(id, 1));
    return id;
  }
  // Two checkpoints: 1-0, then 1-1.
  OperationId saved() { return saved_as(api::CheckpointType::kPeriodic); }
  OperationId saved_as(api::CheckpointType type) {
    const OperationId id = claimed();
    tell(commit(id, {1, 0}, std::nullopt, api::CheckpointType::kInitial));
    tell(commit(id, {1, 1}, CheckpointRef{1, 0}, type));
    return id;
  }
  OperationId cancelled() {
    const OperationId id = saved_as(api::CheckpointType::kCancellation);
    tell(stopped(id, 1));
    return id;
  }
  OperationId failed() {
    const OperationId id = saved_as(api::CheckpointType::kFailure);
    tell(fail(id, 1));
    return id;
  }
  OperationId resumed() {
    const OperationId id = cancelled();
    system_.resume(id);
    return id;
  }

  // Everything that a client can see of an operation, but for the last sign of life.
  std::string everything(const OperationId& id) {
    nlohmann::json seen;
    for (const std::string& path :
         {path_of(id), path_of(id) + "/children", path_of(id) + "/metrics", "/checkpoints/" + id.value}) {
      seen[path] = send({"GET", path}).json();
    }
    if (auto& operation = seen[path_of(id)]; operation.contains("data")) {
      for (const char* what_time_changes :
           {"last_heartbeat_at", "seconds_since_checkpoint", "seconds_at_risk"})
        operation["data"].erase(what_time_changes);
    }
    return seen.dump(1);
  }

 private:
  TestSystem& system_;
  const std::filesystem::path market_;
  client::HttpClient http_;
};

}  // namespace ktrdr::system_test
