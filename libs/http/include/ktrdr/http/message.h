// One request as a handler sees it, and the answer it gives. By the time a handler runs, everything here has
// been checked by the transport: limits, Host, Origin, token, content type, percent-encoding and UTF-8.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktrdr::http {

class BodyStream;  // body_stream.h

enum class Method { kGet, kPost, kPut, kPatch, kDelete };

std::string_view to_string(Method method);  // "GET"

struct Header {
  std::string name;
  std::string value;
};

using StringMap = std::map<std::string, std::string, std::less<>>;

struct Request {
  Method method = Method::kGet;
  std::string path;             // decoded once; no "." or "..", no control characters, valid UTF-8
  StringMap parameters;         // what {names} in the route's pattern captured, never empty strings
  StringMap query;              // decoded; a name occurs once ("a" without "=" has the value "")
  std::vector<Header> headers;  // as received, without Authorization: a secret that is kept can be logged
  std::string body;             // valid UTF-8; empty, or declared to be JSON (which nobody has parsed yet)
  std::string remote_address;   // "127.0.0.1"

  // The first header of that name; names are compared without regard to case.
  std::optional<std::string_view> header(std::string_view name) const;

  // What {name} captured. Asking for a name that the route's pattern does not have is a bug (CHECK).
  const std::string& parameter(std::string_view name) const;

  std::optional<std::string_view> query_value(std::string_view name) const;
};

// The transport adds Content-Length, X-Content-Type-Options: nosniff and Cache-Control: no-store; a header of
// the same name given here replaces its default. A status outside 200..599 or a line break in a header is a
// bug of the handler and is answered with 500.
struct Response {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  // Set: the body goes on with what is sent there, in chunks, until that ends; `body` is not looked at. The
  // connection is closed afterwards.
  std::shared_ptr<BodyStream> stream;
};

}  // namespace ktrdr::http
