// The document as clients get it from a running server and its worker, and the check that all system tests
// are under.
#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "ktrdr/client/http_client.h"
#include "ktrdr/client/testing/scripted_server.h"
#include "support/conformance.h"
#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

using ::testing::HasSubstr;

client::HttpAnswer get(const std::string& url) {
  client::HttpClient http;
  const auto answer = http.request({.url = url});
  return answer.ok() ? *answer : client::HttpAnswer{};
}

TEST(OpenApi, ServerAndWorkerDescribeThemselvesToAnybody) {
  TestSystem system;
  system.wait_for_workers(1);
  const std::string worker = system.api().workers()->front().endpoint_url;
  EXPECT_THAT(get(system.url() + "/api/v1/openapi.json").body,
              HasSubstr("/api/v1/operations/{operation_id}/resume"));
  EXPECT_THAT(get(worker + "/api/v1/openapi.json").body, HasSubstr("/training/resume"));
  EXPECT_THAT(get(system.url() + "/api/v1/docs").body, HasSubstr("<h1>ktrdr control plane"));
  EXPECT_THAT(get(worker + "/").body, HasSubstr("\"service\":\"training-worker\""));
  EXPECT_THAT(get(worker + "/health").body, HasSubstr("\"worker_status\":\"idle\""));
  EXPECT_EQ(get(worker + "/nothing").status, 404);
}

TEST(OpenApi, EveryAnswerThatATestGetsIsChecked) {
  TestSystem system({.local_workers = 0});
  const int before = checked_answers();
  EXPECT_TRUE(system.api().health().ok());
  EXPECT_FALSE(system.api().operation({"op_unknown"}).ok());
  EXPECT_EQ(checked_answers(), before + 2);
}

TEST(OpenApi, AnAnswerThatIsNotAsDocumentedFailsTheTest) {
  client::testing::ScriptedServer liar;
  {
    TestSystem system({.local_workers = 0});
    liar.answer("GET /api/v1/openapi.json", {200, get(system.url() + "/api/v1/openapi.json").body});
  }
  const std::vector<client::testing::ScriptedAnswer> answers = {
      {200, R"({"status":"ok","version":"x","workers_connected":0,"orphan_detector":null})"},
      {200, R"({"status":"ok","version":"x","orphan_detector":null})"},
      {200, R"({"status":"ok","version":"x","workers_connected":"none"})"},
      {418, R"({"success":false,"detail":"x","error":{"code":"X","message":"x","details":{}}})"}};
  for (const auto& answer : answers) liar.answer("GET /api/v1/health", answer);
  const std::string health = liar.url() + "/api/v1/health";
  get(health);  // the truth passes
  EXPECT_NONFATAL_FAILURE(get(health), "workers_connected");
  EXPECT_NONFATAL_FAILURE(get(health), "workers_connected");
  EXPECT_NONFATAL_FAILURE(get(health), "not documented");
}

}  // namespace
}  // namespace ktrdr::system_test
