// Every route of a real control plane over real HTTP, and every answer held against the OpenAPI document.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "ktrdr/api/event.h"
#include "ktrdr/api/operation.h"
#include "ktrdr/api/testing/openapi_checker.h"
#include "ktrdr/api/training.h"
#include "ktrdr/api/worker.h"
#include "ktrdr/client/http_client.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/server/control_plane.h"
#include "ktrdr/strategy/testing/market_generator.h"
#include "ktrdr/strategy/testing/strategy_text.h"

namespace ktrdr::server {
namespace {

using api::testing::OpenApiChecker;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// One server without workers or tokens; the test plays the worker.
class Routes : public ::testing::Test {
 protected:
  Routes() {
    strategy::testing::write_market(folder_.path(), strategy::testing::make_market({}));
    auto started = ControlPlane::start(clock_, {.data_dir = folder_ / "data",
                                                .port = 0,
                                                .require_token = false,
                                                .local_workers = 0,
                                                .market_data = folder_.path()});
    CHECK(started.ok(), "the control plane starts");
    server_ = std::move(started).value();
    checker_ = std::make_unique<OpenApiChecker>(send({.url = "/api/v1/openapi.json"}).body);
  }

  client::HttpAnswer send(client::HttpRequest request) {
    request.url = server_->url() + request.url;
    const auto answer = http_.request(request);
    CHECK(answer.ok(), "the server answers");
    return *answer;
  }

  // Asks, checks, and remembers which operations gave a good answer.
  std::string ask(const std::string& method, const std::string& target, int status,
                  const std::string& body = "", std::vector<client::HttpHeader> headers = {}) {
    const auto answer = send({.method = method, .url = target, .body = body, .headers = std::move(headers)});
    EXPECT_EQ(answer.status, status) << method << " " << target << ": " << answer.body;
    EXPECT_EQ(checker_->problem_of({method, target, body, answer.status, answer.body}), "");
    if (answer.status < 300) seen_.insert(checker_->operation_of(method, target));
    return answer.body;
  }

  template <class T>
  T tell(const std::string& target, const auto& request) {
    return *api::from_json<T>(ask("POST", target, 200, api::to_json(request)));
  }

  std::string start_training() {
    return tell<api::StartTrainingResponse>(
               "/api/v1/trainings/start",
               api::StartTrainingRequest{.strategy_yaml = strategy::testing::strategy_text(), .seed = 7})
        .task_id;
  }
  void claim(const std::string& path, std::int64_t attempt) {
    tell<api::ClaimAnswer>(path + "/claim", api::ClaimRequest{attempt, "worker-1", "desk"});
  }
  void commit(const std::string& path, CheckpointRef ref, std::optional<CheckpointRef> parent) {
    tell<api::CommitCheckpointAnswer>(
        path + "/checkpoints",
        api::CommitCheckpointRequest{
            .attempt = ref.attempt,
            .worker_id = "worker-1",
            .checkpoint = {.ref = ref, .parent = parent, .epoch = 0, .start_epoch = 1}});
  }

  SystemClock clock_;
  ktrdr::testing::TemporaryFolder folder_;
  client::HttpClient http_;
  std::unique_ptr<ControlPlane> server_;
  std::unique_ptr<OpenApiChecker> checker_;
  std::set<std::string> seen_;
};

TEST_F(Routes, TheDocumentIsWellFormedAndNamesEveryRoute) {
  EXPECT_THAT(checker_->document_problems(), IsEmpty());
  EXPECT_EQ(checker_->operation_of("GET", "/api/v1/workers/register"), "GET /api/v1/workers/{worker_id}");
  EXPECT_EQ(checker_->operation_of("POST", "/api/v1/workers/register"), "POST /api/v1/workers/register");
  EXPECT_EQ(checker_->operation_of("PUT", "/api/v1/health"), "");
  for (const std::string& operation : checker_->operations()) {
    const auto blank = operation.find(' ');
    std::string target = operation.substr(blank + 1);
    if (const auto open = target.find('{'); open != std::string::npos) {
      target.replace(open, target.find('}') - open + 1, "nobody");
    }
    const auto answer = send({.method = operation.substr(0, blank), .url = target});
    EXPECT_NE(answer.status, 405) << operation;
    EXPECT_THAT(answer.body, ::testing::Not(HasSubstr("There is nothing at this path"))) << operation;
  }
}

// Start, train, be stopped, resume, finish, fail, cancel: so that every operation of the document answers
// well once.
TEST_F(Routes, EveryGoodAnswerIsAsDocumented) {
  const std::string finished = start_training(), path = "/api/v1/operations/" + finished;
  ask("GET", path + "/job", 200);
  claim(path, 1);
  tell<api::HeartbeatAnswer>(path + "/heartbeat",
                             api::HeartbeatRequest{.attempt = 1,
                                                   .worker_id = "worker-1",
                                                   .epochs = {{.epoch = 0, .train_loss = 0.5}},
                                                   .warnings = {"It is late."}});
  ask("POST", path + "/metrics", 200,
      R"({"attempt":1,"worker_id":"worker-1","epochs":[{"epoch":1,"train_loss":0.25}]})");
  commit(path, {1, 0}, std::nullopt);
  commit(path, {1, 1}, CheckpointRef{1, 0});
  ask("GET", "/api/v1/checkpoints/" + finished, 200);
  tell<api::CommitCheckpointAnswer>(
      path + "/rewind",
      api::RewindRequest{
          .attempt = 1, .worker_id = "worker-1", .bad = {1, 1}, .previous = {1, 0}, .reason = "x"});
  tell<api::AppliedAnswer>(
      path + "/stopped",
      api::StoppedRequest{.attempt = 1, .worker_id = "worker-1", .reason = api::StopReason::kShutdown});
  ask("POST", path + "/resume", 200, "", {{"Idempotency-Key", "once"}});
  claim(path, 2);
  ask("GET", path, 200);
  const api::TrainingResult result{
      .model_path = "/models/m", .model_sha256 = std::string(64, 'a'), .seed = 7};
  tell<api::AppliedAnswer>(path + "/complete", api::CompleteRequest{.attempt = 2,
                                                                    .worker_id = "worker-1",
                                                                    .model_path = result.model_path,
                                                                    .model_sha256 = result.model_sha256,
                                                                    .result = {api::to_json(result)}});
  for (const char* rest :
       {"", "/metrics", "/results", "/events", "/events?after=3&limit=2", "/events/stream?after=3"})
    ask("GET", path + rest, 200);
  ask("GET", "/api/v1/trainings/" + finished + "/performance", 200);

  const std::string failed = start_training();
  claim("/api/v1/operations/" + failed, 1);
  commit("/api/v1/operations/" + failed, {1, 0}, std::nullopt);
  tell<api::AppliedAnswer>(
      "/api/v1/operations/" + failed + "/fail",
      api::FailRequest{.attempt = 1, .worker_id = "worker-1", .error_message = "No disk."});
  ask("GET", "/api/v1/checkpoints", 200);
  ask("GET", "/api/v1/checkpoints/stats", 200);
  ask("DELETE", "/api/v1/checkpoints/" + failed, 200);
  ask("POST", "/api/v1/checkpoints/cleanup", 200);
  ask("POST", "/api/v1/operations/" + failed + "/retry", 200);
  ask("GET", "/api/v1/operations/" + failed + "/children", 200);
  ask("PATCH", "/api/v1/operations/" + start_training() + "/status", 200, R"({"status":"CANCELLED"})");
  ask("DELETE", "/api/v1/operations/" + start_training(), 200);
  ask("GET", "/api/v1/operations?limit=2&status=failed&active_only=false", 200);

  tell<api::WorkerInfo>(
      "/api/v1/workers/register",
      api::WorkerRegistration{.worker_id = "worker-1", .endpoint_url = "http://127.0.0.1:1"});
  ask("GET", "/api/v1/workers", 200);
  ask("GET", "/api/v1/workers/worker-1", 200);
  ask("GET", "/metrics", 200);
  for (const char* target : {"health", "openapi.json", "docs"})
    ask("GET", "/api/v1/" + std::string(target), 200);

  for (const std::string& operation : checker_->operations()) {
    EXPECT_TRUE(seen_.contains(operation)) << operation << " has no test of a good answer here";
  }
}

TEST_F(Routes, EveryRefusalIsAsDocumented) {
  for (const char* path : {"", "/resume", "/metrics", "/results", "/events", "/events/stream", "/job",
                           "/claim", "/heartbeat", "/checkpoints"}) {
    const std::string target = "/api/v1/operations/op_unknown" + std::string(path);
    const std::string body = api::to_json(api::ClaimRequest{1, "worker-1", "desk"});
    for (const char* method : {"GET", "POST", "DELETE"}) {
      const bool has_body = method == std::string("POST") && path != std::string("/resume");
      const auto answer = send({.method = method, .url = target, .body = has_body ? body : ""});
      EXPECT_GE(answer.status, 400) << method << " " << target;
      EXPECT_LT(answer.status, 500) << method << " " << target;
      EXPECT_EQ(checker_->problem_of({method, target, "", answer.status, answer.body}), "");
    }
  }
  const std::string path = "/api/v1/operations/" + start_training();
  ask("POST", path + "/resume", 409);
  ask("GET", path + "/results", 400);
  ask("DELETE", path, 412, "", {{"If-Match", "99"}});
  ask("DELETE", path, 400, "", {{"If-Match", "new"}});
  ask("GET", path, 200);
  ask("GET", "/api/v1/operations/NO", 400);
  ask("GET", "/api/v1/checkpoints/op_unknown", 404);
  ask("DELETE", "/api/v1/checkpoints/op_unknown", 404);
  ask("GET", "/api/v1/trainings/op_unknown/performance", 404);
  ask("GET", "/api/v1/workers/nobody", 404);
  ask("POST", "/api/v1/trainings/start", 400, R"({"nonsense":1})");
  ask("POST", "/api/v1/trainings/start", 403, R"({"strategy_yaml":"x","data_dir":"/etc"})");
  ask("POST", "/api/v1/workers/register", 403, R"({"worker_id":"w","endpoint_url":"http://10.0.0.1:1"})");
  ask("GET", "/api/v1/nothing", 404);
  ask("PUT", "/api/v1/health", 405);
}

TEST_F(Routes, AQueryIsCheckedAsItIsDocumented) {
  for (const char* query : {"limit=0", "limit=1001", "limit=x", "limit=", "offset=-1", "active_only=yes",
                            "status=RUNNING", "status="}) {
    EXPECT_THAT(ask("GET", "/api/v1/operations?" + std::string(query), 400), HasSubstr("The query's"))
        << query;
  }
  EXPECT_THAT(ask("GET", "/api/v1/operations?status=ill", 400),
              HasSubstr("must be one of pending, running, completed, failed, cancelled"));
}

TEST_F(Routes, TheHistoryOfAnOperationIsReadFromAnyPlace) {
  const std::string id = start_training(), path = "/api/v1/operations/" + id;
  claim(path, 1);
  commit(path, {1, 0}, std::nullopt);
  ask("POST", path + "/resume", 409);
  const auto kinds = [&](const std::string& query) {
    std::string text;
    const auto answer = api::from_json<api::EventsResponse>(ask("GET", path + "/events" + query, 200));
    EXPECT_EQ(answer->data.last_sequence, 3);
    for (const auto& event : answer->data.events) text += std::string(to_string(event.kind)) + " ";
    return text;
  };
  EXPECT_EQ(kinds(""), "created claimed checkpoint ");
  EXPECT_EQ(kinds("?limit=2"), "claimed checkpoint ");
  EXPECT_EQ(kinds("?after=0&limit=2"), "created claimed ");
  EXPECT_EQ(kinds("?after=2"), "checkpoint ");
  EXPECT_EQ(kinds("?after=3"), "");
  for (const char* query : {"after=-1", "after=x", "limit=0", "limit=1001", "before=1"}) {
    ask("GET", path + "/events?" + query, 400);
  }
}

TEST_F(Routes, TheDocumentationIsAPageWithoutScripts) {
  const std::string page = send({.url = "/api/v1/docs"}).body;
  EXPECT_THAT(page, HasSubstr("POST /api/v1/operations/{operation_id}/resume"));
  EXPECT_THAT(page, HasSubstr("id=\"ErrorBody\""));
  EXPECT_THAT(page, ::testing::Not(HasSubstr("<script")));
  EXPECT_THAT(page, ::testing::Not(HasSubstr("http://")));
}

}  // namespace
}  // namespace ktrdr::server
