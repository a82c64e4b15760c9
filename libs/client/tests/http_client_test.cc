#include "ktrdr/client/http_client.h"

#include <gtest/gtest.h>

#include <thread>

#include "ktrdr/client/testing/scripted_server.h"
#include "ktrdr/core/testing/matchers.h"

namespace ktrdr::client {
namespace {

using ktrdr::client::testing::ScriptedServer;
using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;

TEST(HttpClient, SendsMethodHeadersAndBodyAndReturnsStatusAndBody) {
  ScriptedServer server;
  server.answer("POST /things", {201, "made"});
  HttpClient http;

  const auto answer = http.request(
      {.method = "POST", .url = server.url() + "/things", .body = "{}", .headers = {{"X-Key", "7"}}});

  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->status, 201);
  EXPECT_EQ(answer->body, "made");
  const auto seen = server.requests().at(0);
  EXPECT_EQ(seen.body, "{}");
  EXPECT_EQ(seen.headers.at("x-key"), "7");
  EXPECT_EQ(seen.headers.at("content-type"), "application/json");
}

TEST(HttpClient, KeepsTheConnectionForTheNextRequest) {
  ScriptedServer server;
  server.answer("GET /a", {200, "1"});
  server.answer("DELETE /a", {200, "2"});
  HttpClient http;
  for (const char* method : {"GET", "DELETE", "GET"}) {
    EXPECT_THAT(http.request({.method = method, .url = server.url() + "/a"}), IsOk());
  }
  ASSERT_EQ(server.requests().size(), 3U);
  EXPECT_EQ(server.requests().at(2).connection, 1);
}

TEST(HttpClient, ARequestDoesNotInheritTheHeadersOfTheOneBefore) {
  ScriptedServer server;
  server.answer("GET /a", {200, ""});
  HttpClient http;
  ASSERT_THAT(http.request({.url = server.url() + "/a", .headers = {{"Authorization", "Bearer x"}}}), IsOk());
  ASSERT_THAT(http.request({.url = server.url() + "/a"}), IsOk());
  EXPECT_EQ(server.requests().at(1).headers.count("authorization"), 0U);
}

TEST(HttpClient, DoesNotFollowARedirect) {
  ScriptedServer elsewhere;
  ScriptedServer server;
  server.answer("GET /a", {302, "", {"Location: " + elsewhere.url() + "/b"}});
  const auto answer = HttpClient().request({.url = server.url() + "/a"});
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->status, 302);
  EXPECT_TRUE(elsewhere.requests().empty());
}

TEST(HttpClient, IgnoresTheProxiesOfTheEnvironment) {
  ScriptedServer server;
  ScriptedServer proxy;
  server.answer("GET /a", {200, "direct"});
  setenv("http_proxy", proxy.url().c_str(), 1);
  setenv("ALL_PROXY", proxy.url().c_str(), 1);
  const auto answer = HttpClient().request({.url = server.url() + "/a"});
  unsetenv("http_proxy");
  unsetenv("ALL_PROXY");
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->body, "direct");
  EXPECT_TRUE(proxy.requests().empty());
}

TEST(HttpClient, AnAbsentServerIsUnavailable) {
  ScriptedServer server;
  server.go_down();
  EXPECT_THAT(HttpClient().request({.url = server.url() + "/a"}), FailsWith(ErrorCode::kUnavailable));
}

TEST(HttpClient, AServerThatHangsUpIsUnavailable) {
  ScriptedServer server;
  server.answer("GET /a", {.hang_up = true});
  EXPECT_THAT(HttpClient().request({.url = server.url() + "/a"}), FailsWith(ErrorCode::kUnavailable));
}

TEST(HttpClient, AnAnswerOverTheLimitIsTooLarge) {
  ScriptedServer server;
  server.answer("GET /a", {200, std::string((std::size_t{64} << 20) + 1, 'x')});
  EXPECT_THAT(HttpClient().request({.url = server.url() + "/a"}), FailsWith(ErrorCode::kTooLarge));
}

TEST(HttpClient, RefusesOtherSchemes) {
  EXPECT_THAT(HttpClient().request({.url = "file:///etc/passwd"}), FailsWith(ErrorCode::kInvalidArgument));
}

TEST(HttpClient, RefusesAHeaderThatCouldSmuggleAnother) {
  ScriptedServer server;
  server.answer("GET /a", {200, ""});
  const HttpRequest request{.url = server.url() + "/a", .headers = {{"X-Key", "1\r\nX-Other: 2"}}};
  EXPECT_THAT(HttpClient().request(request), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_TRUE(server.requests().empty());
}

TEST(HttpClient, ServesSeveralThreadsAtOnce) {
  ScriptedServer server;
  server.answer("GET /a", {200, "x"});
  HttpClient http;
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < 25; ++n) good += http.request({.url = server.url() + "/a"}).ok() ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(good, 100);
}

}  // namespace
}  // namespace ktrdr::client
