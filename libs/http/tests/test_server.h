// A server on a free port of loopback with routes that show what a handler was given.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/http/server.h"
#include "raw_client.h"

namespace ktrdr::http {

inline constexpr std::string_view kToken = "correct-horse-battery-staple";

inline Response text(std::string body) {
  return {.status = 200, .body = std::move(body), .content_type = "text/plain", .headers = {}};
}

inline std::string listed(const StringMap& map) {
  std::string list;
  for (const auto& [name, value] : map) list += name + "=" + value + ";";
  return list;
}

// "POST /path {captures} ?query body"
inline Response show(const Request& request) {
  return text(std::string(to_string(request.method)) + " " + request.path + " {" +
              listed(request.parameters) + "} ?" + listed(request.query) + " " + request.body);
}

inline std::vector<Route> test_routes() {
  std::vector<Route> routes;
  for (const Method method : {Method::kGet, Method::kPost, Method::kPut, Method::kPatch, Method::kDelete}) {
    routes.push_back({method, "/open", Access::kPublic, show});
    routes.push_back({method, "/closed", Access::kToken, show});
  }
  routes.push_back({Method::kGet, "/items/{id}", Access::kPublic, show});
  routes.push_back({Method::kDelete, "/items/{id}", Access::kPublic, show});
  routes.push_back(
      {Method::kGet, "/items/special", Access::kPublic, [](const Request&) { return text("special"); }});
  routes.push_back({Method::kGet, "/throws", Access::kPublic,
                    [](const Request&) -> Response { throw std::runtime_error("secret inside"); }});
  return routes;
}

class TestServer {
 public:
  explicit TestServer(Limits limits = {}, std::vector<Route> more_routes = {}, Observer observer = {}) {
    std::vector<Route> routes = test_routes();
    for (Route& route : more_routes) routes.push_back(std::move(route));
    ServerOptions options;
    options.token = kToken;
    options.limits = limits;
    options.observer = std::move(observer);
    server_ = Server::start(std::move(options), Router(std::move(routes))).value();
  }

  Server* operator->() { return server_.get(); }
  RawClient connect() { return RawClient(server_->port()); }

  // The answer to these bytes on a connection of their own; status 0 when there is none.
  RawResponse exchange(std::string_view bytes) {
    RawClient client = connect();
    client.send(bytes);
    return client.read_response().value_or(RawResponse{});
  }

  // `head` is a request line and headers, without the line ends at its end; Host is added.
  RawResponse ask(std::string_view head, std::string_view body = "") {
    return exchange(std::string(head) + "\r\nHost: localhost\r\n\r\n" + std::string(body));
  }

 private:
  std::unique_ptr<Server> server_;
};

MATCHER_P2(IsRefusal, status, code, "is refused with " + std::to_string(status) + " " + code) {
  *result_listener << "status " << arg.status << ", body " << arg.body;
  return arg.status == status && arg.body.starts_with(R"({"success": false, "detail": ")") &&
         arg.body.find(std::string(R"("code": ")") + code + "\"") != std::string::npos &&
         arg.header("content-type") == "application/json" &&
         arg.header("x-content-type-options") == "nosniff" && arg.header("cache-control") == "no-store";
}

MATCHER_P(Shows, body, "is a 200 that shows '" + std::string(body) + "'") {
  *result_listener << "status " << arg.status << ", body " << arg.body;
  return arg.status == 200 && arg.body == body;
}

}  // namespace ktrdr::http
