#include "ktrdr/worker/training_worker.h"

#include <gtest/gtest.h>

#include "ktrdr/api/testing/openapi_checker.h"
#include "ktrdr/client/http_client.h"
#include "ktrdr/client/testing/scripted_server.h"
#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/http/server.h"
#include "ktrdr/worker/server_link.h"
#include "unreadable_store.h"
#include "worker_routes.h"

namespace ktrdr::worker {
namespace {

using ktrdr::testing::FailsWith;
using ::testing::IsEmpty;

struct Bench {
  explicit Bench(Error answer) : store(std::move(answer)) {
    const api::TrainingJob job{.operation_id = "op_1",
                               .attempt = 2,
                               .status = api::OperationStatus::kRunning,
                               .checkpoints = {{.ref = {1, 7}}, {.ref = {1, 6}}}};
    server.answer("GET /api/v1/operations/op_1/job", {200, api::to_json(job)});
  }

  client::testing::ScriptedServer server;
  ktrdr::testing::ManualClock clock;
  metrics::Registry registry;
  ServerLink link{{.url = server.url()}, [](const std::string&) { return std::nullopt; }};
  UnreadableStore store;
  TrainingWorker worker{clock, link, store, {{"worker-1"}, "desk"}, [](Assignment) -> std::shared_ptr<Run> {
                          ADD_FAILURE() << "nothing was claimed";
                          return nullptr;
                        }};
};

// A claim would take the operation away from a worker that can read it, a rewind would drop a checkpoint that
// is whole.
TEST(TrainingWorker, ACheckpointThatItCanNotReadIsNeitherClaimedNorRewound) {
  for (const ErrorCode code : {ErrorCode::kIo, ErrorCode::kUnsupported}) {
    Bench bench({code, "can't be read here"});
    EXPECT_THAT(bench.worker.resume({.operation_id = "op_1"}), FailsWith(code));
    EXPECT_EQ(bench.store.loads(), 1) << "the one before is not even looked at";
    EXPECT_THAT(bench.server.requests("POST "), IsEmpty());
    EXPECT_EQ(bench.worker.health().worker_status, "idle");
  }
}

TEST(TrainingWorker, WithoutAnyGoodCheckpointItGivesItsVerdictAndClaimsNothing) {
  for (const ErrorCode code : {ErrorCode::kCheckpointCorrupted, ErrorCode::kCheckpointNotFound}) {
    Bench bench({code, "damaged"});
    EXPECT_THAT(bench.worker.resume({.operation_id = "op_1"}), FailsWith(code));
    EXPECT_EQ(bench.store.loads(), 2) << "both were tried";
    EXPECT_THAT(bench.server.requests("POST "), IsEmpty());
  }
}

// A run that somebody else trains.
class WatchedRun final : public Run {
 public:
  explicit WatchedRun(Assignment assignment) : operation_(assignment.operation) {}
  const OperationId& operation() const override { return operation_; }
  void look_for_cancel() override { ++looks_; }
  void shut_down(Duration, Duration) override {}
  bool ended() const override { return false; }
  bool wait_until_ended(Duration) override { return false; }
  int looks() const { return looks_; }

 private:
  const OperationId operation_;
  int looks_ = 0;
};

// The message may be a late one, meant for the attempt before: what counts is the row.
TEST(TrainingWorker, ACancelMakesItAskTheServerAndNothingElse) {
  client::testing::ScriptedServer server;
  const api::TrainingJob job{.operation_id = "op_1", .attempt = 1};
  server.answer("GET /api/v1/operations/op_1/job", {200, api::to_json(job)});
  server.answer("POST /api/v1/operations/op_1/claim", {200, api::to_json(api::ClaimAnswer{})});
  ktrdr::testing::ManualClock clock;
  ServerLink link{{.url = server.url()}, [](const std::string&) { return std::nullopt; }};
  const UnreadableStore store{{ErrorCode::kIo, "nothing is restored"}};
  std::shared_ptr<WatchedRun> run;
  TrainingWorker worker(clock, link, store, {{"worker-1"}, "desk"}, [&](Assignment assignment) {
    return run = std::make_shared<WatchedRun>(std::move(assignment));
  });
  EXPECT_FALSE(worker.cancel({"op_1"})) << "it trains nothing";
  ASSERT_THAT(worker.start({.operation_id = "op_1"}), ktrdr::testing::IsOk());
  EXPECT_FALSE(worker.cancel({"op_2"}));
  EXPECT_EQ(run->looks(), 0);
  EXPECT_TRUE(worker.cancel({"op_1"}));
  EXPECT_EQ(run->looks(), 1);
}

TEST(TrainingWorker, AnIdThatIsNoIdReachesNobody) {
  Bench bench({ErrorCode::kIo, "x"});
  EXPECT_THAT(bench.worker.resume({.operation_id = "../../x"}), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(bench.worker.start({.operation_id = "../../x"}), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(bench.server.requests(), IsEmpty());
}

TEST(TrainingWorker, AnswersOverHttpAsItsDocumentSays) {
  Bench bench({ErrorCode::kCheckpointCorrupted, "damaged"});
  const auto server =
      http::Server::start({}, endpoints::make_router(endpoint_table(bench.worker, bench.registry)));
  ASSERT_TRUE(server.ok());
  const std::string url = "http://127.0.0.1:" + std::to_string((*server)->port());
  client::HttpClient http;
  const auto ask = [&](const std::string& method, const std::string& target, const std::string& body = "") {
    return *http.request({.method = method, .url = url + target, .body = body});
  };
  const api::testing::OpenApiChecker checker(ask("GET", "/api/v1/openapi.json").body);
  EXPECT_THAT(checker.document_problems(), IsEmpty());
  const std::vector<api::testing::Exchange> expected = {
      {"GET", "/", "", 200},
      {"GET", "/health", "", 200},
      {"GET", "/metrics", "", 200},
      {"GET", "/api/v1/docs", "", 200},
      {"POST", "/training/resume", R"({"operation_id":"op_1"})", 422},
      {"POST", "/training/resume", R"({"operation_id":"../../x"})", 400},
      {"POST", "/training/start", R"({"id":"op_1"})", 400},
      {"DELETE", "/api/v1/operations/op_1/cancel", "", 404},
      {"DELETE", "/api/v1/operations/op_1", "", 404}};
  for (const auto& [method, target, body, status, nothing] : expected) {
    const auto answer = ask(method, target, body);
    EXPECT_EQ(answer.status, status) << target << ": " << answer.body;
    EXPECT_EQ(checker.problem_of({method, target, body, answer.status, answer.body}), "");
  }
}

}  // namespace
}  // namespace ktrdr::worker
