// The table of routes: which handler answers which method and path.
//
//   Router router({{Method::kGet, "/api/v1/operations/{operation_id}", Access::kToken, show_operation},
//                  {Method::kGet, "/health", Access::kPublic, health}});
//
// A pattern is made of literal segments and captures: "{name}" stands for exactly one non-empty segment.
// Where both match, the literal wins, from left to right. A trailing slash is another path (and so 404).
#pragma once

#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ktrdr/http/message.h"
#include "ktrdr/http/responder.h"

namespace ktrdr::http {

enum class Access {
  kPublic,  // anyone who can reach the port and names an allowed Host
  kToken,   // only with the bearer token, when the server has one
};

// Runs on the server's small pool, so several run at once; the request lives until the handler returns.
using SynchronousHandler = std::function<Response(const Request&)>;

// The same, but the answer may come after the handler has returned. What it needs of the request it copies.
using ParkedHandler = std::function<void(const Request&, Responder)>;

using Handler = std::variant<SynchronousHandler, ParkedHandler>;

struct Route {
  Method method = Method::kGet;
  std::string pattern;
  Access access = Access::kToken;
  Handler handler;
  std::size_t number = 0;  // its place in the router's table, set by the router
};

struct RouteMatch {
  const Route* route = nullptr;  // null: see `allowed`; else valid as long as the router
  StringMap parameters;
  std::set<Method> allowed;  // methods that this path does have; empty when there is no such path
};

// Immutable once made, so safe to use from any thread. A wrong table (two routes of the same method and
// shape, an empty handler, a capture named twice, a pattern without a leading slash) is a bug and stops the
// program.
class Router {
 public:
  explicit Router(std::vector<Route> routes);

  // `segments` of the decoded path: "/a/b" is {"a", "b"}, "/" is {""}.
  RouteMatch find(Method method, const std::vector<std::string>& segments) const;

 private:
  struct Entry {
    Route route;
    std::vector<std::string> segments;
  };
  std::vector<Entry> entries_;
};

}  // namespace ktrdr::http
