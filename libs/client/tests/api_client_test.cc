#include "ktrdr/client/api_client.h"

#include <gtest/gtest.h>

#include "ktrdr/client/testing/scripted_server.h"
#include "ktrdr/client/worker_client.h"
#include "ktrdr/core/testing/matchers.h"

namespace ktrdr::client {
namespace {

using ktrdr::client::testing::ScriptedServer;
using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;

const OperationId kId{"op_1"};

std::string refusal(std::string_view code, const std::string& detail) {
  return R"({"success":false,"detail":")" + detail + R"(","error":{"code":")" + std::string(code) +
         R"(","message":"m","details":{}}})";
}

class ApiClientTest : public ::testing::Test {
 protected:
  ScriptedServer server_;
  ApiClient client_{{server_.url(), "secret"}};
};

TEST_F(ApiClientTest, SendsTheTokenAndReadsTheAnswer) {
  server_.answer("GET /api/v1/health",
                 {200, R"({"status":"ok","version":"1","workers_connected":3,"new_key":1})"});
  const auto health = client_.health();
  ASSERT_THAT(health, IsOk());
  EXPECT_EQ(health->workers_connected, 3);
  EXPECT_EQ(server_.requests().at(0).headers.at("authorization"), "Bearer secret");
}

TEST_F(ApiClientTest, SendsNoTokenWhereThereIsNone) {
  server_.answer("GET /api/v1/health", {200, "{}"});
  ASSERT_THAT(ApiClient({server_.url(), ""}).health(), IsOk());
  EXPECT_EQ(server_.requests().at(0).headers.count("authorization"), 0U);
}

TEST_F(ApiClientTest, EveryErrorCodeComesBackAsItself) {
  for (int number = 0; number <= static_cast<int>(ErrorCode::kInternal); ++number) {
    const auto code = static_cast<ErrorCode>(number);
    ScriptedServer server;
    server.answer("GET /api/v1/operations/op_1", {418, refusal(to_string(code), "The reason.")});
    const auto answer = ApiClient({server.url(), ""}).operation(kId);
    EXPECT_THAT(answer, FailsWith(code));
    EXPECT_EQ(answer.error().message, "The reason.");
  }
}

TEST_F(ApiClientTest, ABodyThatIsNotOursDecidesNothing) {
  const std::pair<int, ErrorCode> table[] = {
      {302, ErrorCode::kUnavailable}, {400, ErrorCode::kUnavailable}, {401, ErrorCode::kUnauthorized},
      {403, ErrorCode::kForbidden},   {404, ErrorCode::kUnavailable}, {405, ErrorCode::kUnavailable},
      {409, ErrorCode::kUnavailable}, {413, ErrorCode::kTooLarge},    {500, ErrorCode::kInternal},
      {501, ErrorCode::kUnavailable}, {503, ErrorCode::kUnavailable}};
  for (const auto& [status, code] : table) {
    ScriptedServer server;
    server.answer("GET /api/v1/operations/op_1", {status, "<html>"});
    EXPECT_THAT(ApiClient({server.url(), ""}).operation(kId), FailsWith(code)) << status;
  }
}

TEST_F(ApiClientTest, AnErrorWithoutOneOfOurCodesKeepsItsSentenceOnly) {
  for (const char* body :
       {R"({"detail":"Not Found"})", R"({"detail":"Not Found","error":{"code":"not_found"}})",
        R"({"detail":"Not Found","error":{"code":"NO_SUCH_ROUTE"}})"}) {
    ScriptedServer other;
    other.answer("GET /api/v1/operations/op_1", {404, body});
    const auto answer = ApiClient({other.url(), ""}).operation(kId);
    EXPECT_THAT(answer, FailsWith(ErrorCode::kUnavailable)) << body;
    EXPECT_THAT(answer, SaysError("Not Found"));
  }
}

TEST_F(ApiClientTest, AnAnswerOfAnotherProgramIsSaidToBeOne) {
  server_.answer("GET /api/v1/operations/op_1", {200, "<html>hello</html>"});
  EXPECT_THAT(client_.operation(kId), SaysError("is not one of a ktrdr server"));
}

TEST_F(ApiClientTest, AnAbsentServerIsNamedWithWhatToDo) {
  server_.go_down();
  const auto answer = client_.health();
  EXPECT_THAT(answer, FailsWith(ErrorCode::kUnavailable));
  EXPECT_THAT(answer, SaysError("Cannot reach the ktrdr server at " + server_.url() + ": "));
  EXPECT_THAT(answer, SaysError("Is `ktrdr serve` running?"));
  EXPECT_EQ(answer.error().message.find("secret"), std::string::npos);
}

TEST_F(ApiClientTest, ALostStartIsRepeatedOnceWithTheSameKey) {
  server_.answer("POST /api/v1/trainings/start", {.hang_up = true});
  server_.answer("POST /api/v1/trainings/start", {200, R"({"task_id":"op_1"})"});
  const auto started = client_.start_training({.strategy_yaml = "name: x"});
  ASSERT_THAT(started, IsOk());
  EXPECT_EQ(started->task_id, "op_1");
  const auto seen = server_.requests();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].headers.at("idempotency-key").size(), 32U);
  EXPECT_EQ(seen[0].headers.at("idempotency-key"), seen[1].headers.at("idempotency-key"));
  EXPECT_EQ(seen[0].body, seen[1].body);
}

TEST_F(ApiClientTest, TwoStartsHaveTwoKeys) {
  server_.answer("POST /api/v1/trainings/start", {200, R"({"task_id":"op_1"})"});
  ASSERT_THAT(client_.start_training({}), IsOk());
  ASSERT_THAT(client_.start_training({}), IsOk());
  EXPECT_NE(server_.requests().at(0).headers.at("idempotency-key"),
            server_.requests().at(1).headers.at("idempotency-key"));
}

TEST_F(ApiClientTest, ARefusedStartIsNotRepeated) {
  server_.answer("POST /api/v1/trainings/start", {503, refusal("UNAVAILABLE", "Shutting down.")});
  EXPECT_THAT(client_.start_training({}), FailsWith(ErrorCode::kUnavailable));
  EXPECT_EQ(server_.requests().size(), 1U);
}

// The database was lost while it saved: only the server's memory of the key tells whether it did.
TEST_F(ApiClientTest, AStartWhoseFateTheServerDoesNotKnowIsRepeatedWithItsKey) {
  server_.answer("POST /api/v1/trainings/start", {500, refusal("IO", "The connection was lost.")});
  EXPECT_FALSE(client_.start_training({}).ok());
  const auto seen = server_.requests();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].headers.at("idempotency-key"), seen[1].headers.at("idempotency-key"));
}

TEST_F(ApiClientTest, OtherLostRequestsAreNotRepeated) {
  server_.answer("DELETE /api/v1/operations/op_1", {.hang_up = true});
  EXPECT_THAT(client_.cancel(kId, {}), FailsWith(ErrorCode::kUnavailable));
  EXPECT_EQ(server_.requests().size(), 1U);
}

TEST_F(ApiClientTest, ASlowCancelSaysThatItIsStillRunning) {
  server_.answer("DELETE /api/v1/operations/op_1",
                 {202, R"({"success":true,"data":{"operation_id":"op_1","status":"running"}})"});
  const auto cancelled = client_.cancel(kId, {.reason = "enough"});
  ASSERT_THAT(cancelled, IsOk());
  EXPECT_EQ(cancelled->data.status, api::OperationStatus::kRunning);
  EXPECT_EQ(server_.requests().at(0).body, R"({"reason":"enough","force":false})");
}

TEST_F(ApiClientTest, TheListsFilterBecomesAQuery) {
  server_.answer("GET /api/v1/operations", {200, R"({"success":true,"data":[],"total_count":0})"});
  ASSERT_THAT(client_.list_operations({}), IsOk());
  ASSERT_THAT(client_.list_operations({.status = api::OperationStatus::kFailed,
                                       .operation_type = "a&b",
                                       .limit = 5,
                                       .offset = 10,
                                       .active_only = true}),
              IsOk());
  EXPECT_EQ(server_.requests().at(0).target, "/api/v1/operations");
  EXPECT_EQ(server_.requests().at(1).target,
            "/api/v1/operations?status=failed&operation_type=a%26b&limit=5&offset=10&active_only=true");
}

TEST_F(ApiClientTest, WorkersComeAsABareList) {
  server_.answer("GET /api/v1/workers", {200, R"([{"worker_id":"w1"},{"worker_id":"w2","status":"busy"}])"});
  const auto workers = client_.workers();
  ASSERT_THAT(workers, IsOk());
  ASSERT_EQ(workers->size(), 2U);
  EXPECT_EQ(workers->at(1).status, "busy");
}

TEST_F(ApiClientTest, EachRouteOfAWorkerIsAskedAtItsPath) {
  const std::string applied = R"({"success":true,"version":4,"dropped":[],"next_sequence":0,"cancel":true})";
  for (const char* route : {"claim", "heartbeat", "checkpoints", "rewind", "complete", "fail", "stopped"}) {
    server_.answer(std::string("POST /api/v1/operations/op_1/") + route, {200, applied});
  }
  server_.answer("POST /api/v1/workers/register", {200, R"({"worker_id":"w1"})"});
  EXPECT_THAT(client_.register_worker({.worker_id = "w1", .endpoint_url = "http://x"}), IsOk());
  EXPECT_THAT(client_.claim(kId, {.attempt = 2, .worker_id = "w1"}), IsOk());
  const auto beat = client_.heartbeat(kId, {.attempt = 2, .worker_id = "w1"});
  ASSERT_THAT(beat, IsOk());
  EXPECT_TRUE(beat->cancel);
  EXPECT_THAT(client_.commit_checkpoint(kId, {}), IsOk());
  EXPECT_THAT(client_.rewind(kId, {}), IsOk());
  EXPECT_THAT(client_.complete(kId, {}), IsOk());
  EXPECT_THAT(client_.fail(kId, {}), IsOk());
  EXPECT_THAT(client_.stopped(kId, {}), IsOk());
  EXPECT_EQ(server_.requests().size(), 8U);
}

TEST_F(ApiClientTest, AStaleWorkerIsToldSo) {
  server_.answer("POST /api/v1/operations/op_1/heartbeat", {409, refusal("STALE", "Another owner.")});
  EXPECT_THAT(client_.heartbeat(kId, {}), FailsWith(ErrorCode::kStale));
}

TEST(WorkerClient, StartsResumesAsksAndCancels) {
  ScriptedServer worker;
  worker.answer("POST /training/start", {200, R"({"success":true,"operation_id":"op_1"})"});
  worker.answer("POST /training/resume", {422, refusal("CHECKPOINT_CORRUPTED", "Damaged.")});
  worker.answer("GET /health", {200, R"({"worker_status":"busy"})"});
  worker.answer("DELETE /api/v1/operations/op_1/cancel", {200, R"({"anything":1})"});
  WorkerClient client("secret");
  const WorkerEndpoint endpoint{worker.url()};

  EXPECT_THAT(client.start(endpoint, {.operation_id = "op_1"}), IsOk());
  EXPECT_THAT(client.resume(endpoint, {.operation_id = "op_1"}), FailsWith(ErrorCode::kCheckpointCorrupted));
  ASSERT_THAT(client.health(endpoint), IsOk());
  EXPECT_EQ(client.health(endpoint)->worker_status, "busy");
  EXPECT_THAT(client.cancel(endpoint, kId), IsOk());
  EXPECT_EQ(worker.requests().at(0).headers.at("authorization"), "Bearer secret");
}

TEST(WorkerClient, AnAbsentWorkerIsUnavailable) {
  ScriptedServer worker;
  worker.go_down();
  const auto health = WorkerClient("").health({worker.url()});
  EXPECT_THAT(health, FailsWith(ErrorCode::kUnavailable));
  EXPECT_THAT(health, SaysError("Cannot reach the worker at " + worker.url()));
}

}  // namespace
}  // namespace ktrdr::client
