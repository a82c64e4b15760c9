#include "admission.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

#include "ktrdr/core/digest.h"
#include "target.h"
#include "text.h"

namespace ktrdr::http {
namespace {

std::vector<std::string_view> values_of(const RequestHead& head, std::string_view name) {
  std::vector<std::string_view> values;
  for (const Header& header : head.headers) {
    if (equal_ignoring_case(header.name, name)) values.push_back(without_blanks(header.value));
  }
  return values;
}

struct MethodName {
  std::string_view name;
  Method method;
};
constexpr MethodName kMethods[] = {{"GET", Method::kGet},     {"HEAD", Method::kGet},
                                   {"POST", Method::kPost},   {"PUT", Method::kPut},
                                   {"PATCH", Method::kPatch}, {"DELETE", Method::kDelete}};

std::optional<Method> method_named(std::string_view name) {
  for (const MethodName& row : kMethods) {
    if (row.name == name) return row.method;
  }
  return std::nullopt;
}

Response method_not_allowed(const std::set<Method>& allowed) {
  std::string names;
  for (const MethodName& row : kMethods) {
    if (!allowed.contains(row.method)) continue;
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  Response response = refuse(kMethodNotAllowed);
  response.headers.emplace_back("Allow", names);
  return response;
}

bool has_body(const RequestHead& head) {
  const auto lengths = values_of(head, "Content-Length");
  return !values_of(head, "Transfer-Encoding").empty() || (!lengths.empty() && lengths.front() != "0");
}

// Two readers of the same bytes (a proxy and we) must agree where a request ends: nothing here is repaired.
std::optional<Refusal> refuse_framing(const RequestHead& head) {
  const auto lengths = values_of(head, "Content-Length");
  const auto encodings = values_of(head, "Transfer-Encoding");
  if (encodings.empty() && lengths.empty()) return std::nullopt;
  if (lengths.size() + encodings.size() != 1) return kBadFraming;
  if (!lengths.empty()) return is_digits(lengths.front()) ? std::nullopt : std::optional(kBadFraming);
  const bool is_chunked = head.is_http_1_1 && equal_ignoring_case(encodings.front(), "chunked");
  return is_chunked ? std::nullopt : std::optional(kBadFraming);
}

std::uint64_t declared_length(const RequestHead& head) {
  const auto lengths = values_of(head, "Content-Length");
  if (lengths.empty()) return 0;
  std::uint64_t length = 0;
  const std::string_view digits = lengths.front();
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  return read.ec == std::errc() ? length : UINT64_MAX;
}

// "localhost:8000" is localhost, "[::1]:8000" is [::1]; none where the rest is not a port.
std::optional<std::string_view> host_without_port(std::string_view host) {
  const std::size_t bracket = host.starts_with('[') ? host.find(']') : 0;
  if (bracket == std::string_view::npos) return std::nullopt;
  const std::size_t colon = host.find(':', bracket);
  if (colon == std::string_view::npos) return host;
  const std::string_view port = host.substr(colon + 1);
  if (!is_digits(port) || port.size() > 5) return std::nullopt;
  return host.substr(0, colon);
}

// A browser sends Origin when a page's script is behind the request: only pages that we served ourselves may.
std::optional<Refusal> refuse_origin(const RequestHead& head) {
  const auto origins = values_of(head, "Origin");
  if (origins.empty()) return std::nullopt;
  const std::string_view origin = origins.front();
  const std::size_t authority = origin.starts_with("http://") ? 7 : origin.starts_with("https://") ? 8 : 0;
  const std::string_view host = values_of(head, "Host").front();
  const bool is_ours =
      origins.size() == 1 && authority > 0 && equal_ignoring_case(origin.substr(authority), host);
  return is_ours ? std::nullopt : std::optional(kOriginNotAllowed);
}

bool is_json(std::string_view content_type) {
  const std::size_t semicolon = std::min(content_type.find(';'), content_type.size());
  if (!equal_ignoring_case(without_blanks(content_type.substr(0, semicolon)), "application/json"))
    return false;
  if (semicolon == content_type.size()) return true;
  const std::string_view parameter = without_blanks(content_type.substr(semicolon + 1));
  return equal_ignoring_case(parameter, "charset=utf-8") ||
         equal_ignoring_case(parameter, "charset=\"utf-8\"");
}

// A form or a plain-text post is what a foreign web page can send without asking: JSON it can't.
std::optional<Refusal> refuse_media(const RequestHead& head) {
  if (!has_body(head)) return std::nullopt;
  const auto types = values_of(head, "Content-Type");
  const bool is_plain_json =
      types.size() == 1 && is_json(types.front()) && values_of(head, "Content-Encoding").empty();
  return is_plain_json ? std::nullopt : std::optional(kNotJson);
}

bool is_continue(std::string_view expectation) { return equal_ignoring_case(expectation, "100-continue"); }

std::optional<Refusal> refuse_expectation(const RequestHead& head) {
  const auto expectations = values_of(head, "Expect");
  const bool known = std::all_of(expectations.begin(), expectations.end(), is_continue);
  return known ? std::nullopt : std::optional(kBadExpectation);
}

bool wants_continue(const RequestHead& head) {
  return head.is_http_1_1 && has_body(head) && !values_of(head, "Expect").empty();
}

Request make_request(Method method, Target target, StringMap parameters, RequestHead head) {
  std::erase_if(head.headers,
                [](const Header& header) { return equal_ignoring_case(header.name, "Authorization"); });
  Request request;
  request.method = method;
  request.path = target.path();
  request.parameters = std::move(parameters);
  request.query = std::move(target.query);
  request.headers = std::move(head.headers);
  request.remote_address = std::move(head.remote_address);
  return request;
}

}  // namespace

Admission::Admission(AdmissionRules rules, const Router& router) : rules_(std::move(rules)), router_(router) {
  if (rules_.token) token_digest_ = sha256_hex(*std::exchange(rules_.token, std::nullopt));
}

std::optional<Refusal> Admission::refuse_size(const RequestHead& head) const {
  if (head.target.size() > rules_.target_bytes) return kTargetTooLong;
  std::size_t header_bytes = 0;
  for (const Header& header : head.headers) {
    header_bytes += header.name.size() + header.value.size() + std::string_view(": \r\n").size();
  }
  if (header_bytes > rules_.header_bytes) return kHeadersTooLarge;
  return std::nullopt;
}

// Against DNS rebinding: a foreign page whose name resolves to our address still sends its own name here.
std::optional<Refusal> Admission::refuse_host(const RequestHead& head) const {
  const auto hosts = values_of(head, "Host");
  if (hosts.size() != 1 || hosts.front().empty()) return kMissingHost;
  const auto name = host_without_port(hosts.front());
  const auto is_name = [&name](const std::string& allowed) { return equal_ignoring_case(allowed, *name); };
  const bool allowed = name && std::any_of(rules_.allowed_hosts.begin(), rules_.allowed_hosts.end(), is_name);
  return allowed ? std::nullopt : std::optional(kHostNotAllowed);
}

// Digests are compared, not the tokens, so that time does not tell the token's length either.
std::optional<Response> Admission::refuse_token(const Route& route, const RequestHead& head) const {
  if (route.access == Access::kPublic || !token_digest_) return std::nullopt;
  constexpr std::string_view kScheme = "Bearer ";
  const auto credentials = values_of(head, "Authorization");
  if (credentials.size() == 1 &&
      equal_ignoring_case(credentials.front().substr(0, kScheme.size()), kScheme)) {
    const std::string given = sha256_hex(without_blanks(credentials.front().substr(kScheme.size())));
    if (equal_in_constant_time(given, *token_digest_)) return std::nullopt;
  }
  Response response = refuse(kMissingToken);
  response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

std::variant<Admitted, Response> Admission::admit(RequestHead head) const {
  if (const auto refusal = refuse_size(head)) return refuse(*refusal);
  std::variant<Target, Refusal> parsed = parse_target(head.target);
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) return refuse(*refusal);
  if (const auto refusal = refuse_framing(head)) return refuse(*refusal);
  if (declared_length(head) > rules_.body_bytes) return refuse(kBodyTooLarge);
  if (const auto refusal = refuse_host(head)) return refuse(*refusal);
  if (const auto refusal = refuse_origin(head)) return refuse(*refusal);

  Target& target = std::get<Target>(parsed);
  const std::optional<Method> method = method_named(head.method);
  // A method that we don't know gets the Allow list of its path: any method will do to ask for that.
  RouteMatch match = router_.find(method.value_or(Method::kGet), target.segments);
  if (match.allowed.empty()) return refuse(kNoSuchRoute);
  if (!method || match.route == nullptr) return method_not_allowed(match.allowed);

  if (auto refusal = refuse_token(*match.route, head)) return *std::move(refusal);
  if (const auto refusal = refuse_media(head)) return refuse(*refusal);
  if (const auto refusal = refuse_expectation(head)) return refuse(*refusal);
  const bool expects_continue = wants_continue(head);
  return Admitted{match.route,
                  make_request(*method, std::move(target), std::move(match.parameters), std::move(head)),
                  expects_continue};
}

}  // namespace ktrdr::http
