// Who gets in: everything that is decided from a request's head, before a byte of its body is read. Knows no
// sockets, so every rule can be tested alone.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ktrdr/http/router.h"
#include "refusal.h"

namespace ktrdr::http {

// A request's head as it was received; syntax of the fields has been checked by the parser.
struct RequestHead {
  std::string method;
  std::string target;
  bool is_http_1_1 = true;
  std::vector<Header> headers;
  std::string remote_address;
};

struct Admitted {
  const Route* route;
  Request request;  // without its body
  bool expects_continue;
};

struct AdmissionRules {
  std::optional<std::string> token;
  std::vector<std::string> allowed_hosts;  // names without port
  std::size_t target_bytes;
  std::size_t header_bytes;
  std::size_t body_bytes;
};

// Immutable, so safe to use from any thread. `router` is owned by the server and outlives this.
class Admission {
 public:
  Admission(AdmissionRules rules, const Router& router);

  std::variant<Admitted, Response> admit(RequestHead head) const;

 private:
  std::optional<Refusal> refuse_size(const RequestHead& head) const;
  std::optional<Refusal> refuse_host(const RequestHead& head) const;
  std::optional<Response> refuse_token(const Route& route, const RequestHead& head) const;

  AdmissionRules rules_;
  std::optional<std::string> token_digest_;
  const Router& router_;
};

}  // namespace ktrdr::http
