#include "support/conformance.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>

#include "ktrdr/api/testing/openapi_checker.h"
#include "ktrdr/client/http_client.h"
#include "ktrdr/core/synchronized.h"

namespace ktrdr::client {

// `ld --wrap` sends every call of HttpClient::request to the first of these, and names the real one the
// second. Member functions take their object as the first argument.
Result<HttpAnswer> checked_request(HttpClient* client,
                                   const HttpRequest& request) asm("__wrap_" KTRDR_HTTP_REQUEST_SYMBOL);
Result<HttpAnswer> real_request(HttpClient* client,
                                const HttpRequest& request) asm("__real_" KTRDR_HTTP_REQUEST_SYMBOL);

namespace {

using api::testing::OpenApiChecker;

std::atomic<int> checked = 0;

// "http://127.0.0.1:8000" and "/api/v1/health".
std::pair<std::string, std::string> split(const std::string& url) {
  const auto slash = url.find('/', url.find("//") + 2);
  return slash == std::string::npos ? std::pair(url, std::string("/"))
                                    : std::pair(url.substr(0, slash), url.substr(slash));
}

// The document of whoever listens there, read once. Null when it can't be read just now: a test may have
// killed its server after the answer.
std::shared_ptr<const OpenApiChecker> checker_of(HttpClient* client, const std::string& origin) {
  static Synchronized<std::map<std::string, std::shared_ptr<const OpenApiChecker>>> known;
  auto found = (*known.lock())[origin];
  if (found) return found;
  const auto document = real_request(client, {.url = origin + "/api/v1/openapi.json"});
  if (!document.ok()) return nullptr;
  EXPECT_EQ(document->status, 200) << origin << " describes itself";
  if (document->status != 200) return nullptr;
  found = std::make_shared<const OpenApiChecker>(document->body);
  (*known.lock())[origin] = found;
  return found;
}

void check(HttpClient* client, const std::string& origin, const api::testing::Exchange& exchange) {
  const auto checker = checker_of(client, origin);
  if (!checker) return;
  EXPECT_EQ(checker->problem_of(exchange), "") << "an answer is not as its OpenAPI document says";
  ++checked;
}

}  // namespace

Result<HttpAnswer> checked_request(HttpClient* client, const HttpRequest& request) {
  Result<HttpAnswer> answer = real_request(client, request);
  if (!answer.ok()) return answer;
  const auto [origin, target] = split(request.url);
  check(client, origin, {request.method, target, request.body, answer->status, answer->body});
  return answer;
}

}  // namespace ktrdr::client

namespace ktrdr::system_test {

void check_answer(int port, const std::string& request, const std::string& body, int status,
                  const std::string& answer) {
  const std::size_t method_end = request.find(' ');
  const std::size_t target_end = request.find(' ', method_end + 1);
  client::HttpClient client;
  client::check(&client, "http://127.0.0.1:" + std::to_string(port),
                {request.substr(0, method_end), request.substr(method_end + 1, target_end - method_end - 1),
                 body, status, answer});
}

int checked_answers() { return client::checked; }

}  // namespace ktrdr::system_test
