// The protocol over real HTTP: requests that are repeated, late, conditional or slow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "ktrdr/client/http_client.h"
#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;
using ::testing::HasSubstr;

class Protocol : public ::testing::Test {
 protected:
  client::HttpAnswer send(const std::string& method, const std::string& path, const std::string& body = "",
                          std::vector<client::HttpHeader> more = {}) {
    more.push_back({"Authorization", "Bearer " + system_.token()});
    const auto answer = http_.request({.method = method,
                                       .url = system_.url() + "/api/v1" + path,
                                       .body = body,
                                       .headers = std::move(more)});
    EXPECT_TRUE(answer.ok()) << (answer.ok() ? "" : answer.error().describe());
    return answer.ok() ? *answer : client::HttpAnswer{};
  }

  std::string start_body(std::int64_t seed) const {
    return api::to_json(api::StartTrainingRequest{
        .strategy_yaml = demanding_strategy(5000), .data_dir = system_.market().string(), .seed = seed});
  }

  // Cancelled, with a checkpoint.
  OperationId interrupted_training() {
    const OperationId id = system_.start_training({.strategy_yaml = demanding_strategy(5000)});
    system_.wait_for_step(id, 20);
    EXPECT_TRUE(system_.api().cancel(id, {}).ok());
    return id;
  }

  TestSystem system_;
  client::HttpClient http_;
};

TEST_F(Protocol, AStartSentTwiceUnderOneKeyStartsOnce) {
  const std::vector<client::HttpHeader> key = {{"Idempotency-Key", "morning-run"}};
  const auto first = send("POST", "/trainings/start", start_body(1), key);
  const auto second = send("POST", "/trainings/start", start_body(1), key);
  EXPECT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(second.status, 200) << second.body;
  EXPECT_EQ(api::member_of({first.body}, "task_id"), api::member_of({second.body}, "task_id"));
  EXPECT_EQ(system_.api().list_operations({})->total_count, 1);
  EXPECT_EQ(send("POST", "/trainings/start", start_body(2), key).status, 409)
      << "another request under the same key";
}

TEST_F(Protocol, ALateCopyOfAResumeDoesNotResurrectWhatWasCancelled) {
  const OperationId id = interrupted_training();
  const std::vector<client::HttpHeader> key = {{"Idempotency-Key", "resume-1"}};
  ASSERT_EQ(send("POST", "/operations/" + id.value + "/resume", "", key).status, 200);
  const auto resumed = system_.wait_for_status(id, OperationStatus::kRunning);
  ASSERT_TRUE(eventually([&] { return system_.operation(id).worker_id.has_value(); }));
  ASSERT_TRUE(system_.api().cancel(id, {}).ok());
  send("POST", "/operations/" + id.value + "/resume", "", key);
  const auto after = system_.operation(id);
  EXPECT_EQ(after.status, OperationStatus::kCancelled);
  EXPECT_EQ(after.attempt, resumed.attempt);
}

TEST_F(Protocol, IfMatchRefusesAChangeOfAnotherVersion) {
  const OperationId id = interrupted_training();
  const auto before = system_.operation(id);
  const std::string path = "/operations/" + id.value + "/resume";
  EXPECT_EQ(send("POST", path, "", {{"If-Match", std::to_string(before.version - 1)}}).status, 412);
  EXPECT_EQ(send("POST", path, "", {{"If-Match", "soon"}}).status, 400);
  EXPECT_EQ(system_.operation(id).version, before.version) << "nothing changed";
  EXPECT_EQ(send("POST", path, "", {{"If-Match", "\"" + std::to_string(before.version) + "\""}}).status, 200);
}

TEST_F(Protocol, OfManyConcurrentResumesExactlyOneWins) {
  const OperationId id = interrupted_training();
  std::vector<int> statuses(16);
  {
    std::vector<std::jthread> clients;
    for (int& status : statuses) {
      clients.emplace_back([&] { status = send("POST", "/operations/" + id.value + "/resume").status; });
    }
  }
  EXPECT_EQ(std::count(statuses.begin(), statuses.end(), 200), 1);
  EXPECT_EQ(std::count(statuses.begin(), statuses.end(), 409), 15);
  EXPECT_EQ(system_.operation(id).attempt, 2);
}

TEST_F(Protocol, ResumeAnswersWithWhatItResumesFrom) {
  const OperationId id = interrupted_training();
  const auto checkpoint = system_.operation(id).checkpoint;
  const auto answer = send("POST", "/operations/" + id.value + "/resume");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const api::JsonText data{api::member_of({answer.body}, "data")};
  EXPECT_EQ(api::member_of(data, "status"), "running");
  const api::JsonText from{api::member_of(data, "resumed_from")};
  EXPECT_EQ(api::member_of(from, "checkpoint_type"), "cancellation");
  EXPECT_EQ(api::member_of(from, "created_at"), checkpoint->created_at);
}

TEST_F(Protocol, AWritingZombieIsRefusedAsStale) {
  const OperationId id = interrupted_training();
  const std::string path = "/operations/" + id.value;
  const std::string zombie = R"({"attempt":1,"worker_id":"worker-zombie")";
  for (
      const auto& [route, body] : std::map<std::string, std::string>{
          {"/heartbeat", zombie + "}"},
          {"/fail", zombie + R"(,"error_message":"x"})"},
          {"/stopped", zombie + R"(,"reason":"cancelled"})"},
          {"/complete", zombie + R"(,"model_path":"/x","model_sha256":"x","result":{}})"},
          {"/checkpoints",
           zombie +
               R"(,"checkpoint":{"ref":"1-99","checkpoint_type":"periodic","start_epoch":0,"start_batch":0}})"}}) {
    const auto before = api::to_json(system_.operation(id));
    const auto refused = send("POST", path + route, body);
    EXPECT_EQ(refused.status, 409) << route << refused.body;
    EXPECT_THAT(refused.body, HasSubstr("\"STALE\"")) << route;
    EXPECT_EQ(api::to_json(system_.operation(id)), before) << route;
  }
}

// A worker that is frozen under a long lease: the cancel is accepted, its end comes later.
TEST(SlowCancel, IsAnsweredWith202AfterTenSeconds) {
  TestSystem system({.local_workers = 0, .lease_seconds = 60});
  ChildProcess& worker = system.start_worker("alpha");
  const OperationId id = system.start_training({.strategy_yaml = demanding_strategy(5000)});
  system.wait_for_step(id, 20);
  worker.signal(SIGSTOP);
  const SystemClock clock;
  const Duration begin = clock.monotonic();
  const auto accepted = system.api().cancel(id, {});
  ASSERT_TRUE(accepted.ok()) << accepted.error().describe();
  EXPECT_EQ(accepted->data.status, OperationStatus::kRunning);
  EXPECT_GE(clock.monotonic() - begin, std::chrono::seconds(9));
  EXPECT_LT(clock.monotonic() - begin, std::chrono::seconds(14));
  EXPECT_EQ(system.operation(id).phase, api::Phase::kCancelling);
  worker.signal(SIGCONT);
  system.wait_for_status(id, OperationStatus::kCancelled);
}

}  // namespace
}  // namespace ktrdr::system_test
