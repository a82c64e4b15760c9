// Every route of the server and of the worker, as their OpenAPI documents list them, gets every wrong request
// that support/bad_requests.h can make of the document. Each is refused with a 4xx and the error body, and
// none changes anything.
#include <gtest/gtest.h>

#include <iostream>
#include <map>

#include "ktrdr/client/http_client.h"
#include "support/bad_requests.h"
#include "support/kept_connection.h"
#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

using Json = nlohmann::json;

constexpr int kFewestPerRoute = 60;

class Peer {
 public:
  explicit Peer(const std::string& url) : port_(std::stoi(url.substr(url.rfind(':') + 1))) {}

  // On a connection that is kept as long as the peer keeps it.
  KeptAnswer ask(const std::string& bytes) {
    if (!connection_) connection_ = std::make_unique<KeptConnection>(port_);
    KeptAnswer answer = connection_->exchange(bytes);
    const bool is_kept = answer.status != 0 && answer.head.starts_with("HTTP/1.1") &&
                         answer.head.find("Connection: close") == std::string::npos;
    if (!is_kept) connection_.reset();
    return answer;
  }

 private:
  const int port_;
  std::unique_ptr<KeptConnection> connection_;
};

// What is wrong with an answer to a bad request; nothing when it is as it must be.
std::string problem_of(const KeptAnswer& answer, const BadRequest& request) {
  if (answer.status < 400 || answer.status > 499) return "is no refusal";
  if (request.status != 0 && answer.status != request.status)
    return "should be " + std::to_string(request.status);
  if (answer.status == 405 && answer.head.find("\r\nAllow: ") == std::string::npos)
    return "names no method that is allowed";
  if (answer.head.find("\r\nContent-Type: application/json\r\n") == std::string::npos) return "is not JSON";
  const Json& body = answer.body;
  if (!body.is_object() || body.value("success", Json()) != Json(false)) return "has no 'success': false";
  if (!body.value("detail", Json()).is_string() || body["detail"].get<std::string>().empty())
    return "has no 'detail'";
  const Json error = body.value("error", Json::object());
  const bool whole = error.value("code", Json()).is_string() &&
                     error.value("message", Json()) == body["detail"] && error.contains("details");
  return whole ? "" : "has no whole 'error'";
}

std::string shown(const std::string& bytes) {
  return Json(bytes.substr(0, 300)).dump(-1, ' ', true, Json::error_handler_t::replace);
}

Json document_of(const std::string& url) {
  client::HttpClient http;
  const auto answer = http.request({.url = url + "/api/v1/openapi.json"});
  return answer.ok() ? Json::parse(answer->body) : Json::object({{"paths", Json::object()}});
}

class BadRequests : public ::testing::Test {
 protected:
  // Sends everything that the document of `url` gives rise to.
  void send_all(const std::string& url, const std::string& operation_id) {
    const Json document = document_of(url);
    Peer peer(url);
    std::map<std::string, int> sent;
    int total = 0;
    for (const BadRequest& request : bad_requests(document, {system_.token(), operation_id})) {
      const KeptAnswer answer = peer.ask(request.bytes);
      const std::string problem = problem_of(answer, request);
      EXPECT_EQ(problem, "") << request.route << ", " << request.what.substr(0, 200) << ": status "
                             << answer.status << ", " << answer.body.dump() << "\n"
                             << shown(request.bytes);
      ++sent[request.route];
      ++total;
    }
    for (const std::string& route : routes_of(document)) EXPECT_GE(sent[route], kFewestPerRoute) << route;
    EXPECT_GE(routes_of(document).size(), 5U);
    std::cout << "bad requests: " << total << " on " << sent.size() << " routes of " << url << "\n";
    EXPECT_EQ(get(url + "/api/v1/openapi.json"), document.dump()) << "it still answers";
  }

  std::string get(const std::string& url) {
    client::HttpClient http;
    const auto answer =
        http.request({.url = url, .headers = {{"Authorization", "Bearer " + system_.token()}}});
    return answer.ok() ? Json::parse(answer->body, nullptr, false).dump() : answer.error().describe();
  }

  // All that clients can see of operations, checkpoints and workers.
  std::string everything() {
    const std::string prefix = system_.url() + "/api/v1";
    const Json list = Json::parse(get(prefix + "/operations?limit=1000"));
    std::string text =
        list["total_count"].dump() + get(prefix + "/checkpoints") + get(prefix + "/checkpoints/stats");
    for (const Json& operation : list["data"]) {
      const std::string id = operation["operation_id"];
      text += "\n" + get(prefix + "/operations/" + id) + "\n" + get(prefix + "/operations/" + id + "/job");
    }
    for (const auto& worker : system_.api().workers().value())
      text += "\n" + worker.worker_id + " " + worker.status;
    return text;
  }

  TestSystem system_{{.local_workers = 0}};
};

TEST_F(BadRequests, AreRefusedByEveryRouteOfTheServerAndChangeNothing) {
  const OperationId id = system_.start_training({.strategy_yaml = demanding_strategy(10)});
  const std::string before = everything();
  send_all(system_.url(), id.value);
  EXPECT_EQ(everything(), before);
  EXPECT_TRUE(system_.server().is_running());
}

TEST_F(BadRequests, AreRefusedByEveryRouteOfAWorkerAndChangeNothing) {
  ChildProcess& worker = system_.start_worker("alpha");
  system_.wait_for_a_free_worker();
  const std::string before = everything();
  send_all(system_.api().workers().value().front().endpoint_url, "op_unknown");
  EXPECT_TRUE(worker.is_running());
  EXPECT_EQ(everything(), before);
}

}  // namespace
}  // namespace ktrdr::system_test
