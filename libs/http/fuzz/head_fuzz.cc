// Any request line and headers through every check that comes before a body is read. What is admitted names a
// route, the token and one Host, and holds nothing that means something to a file system or a terminal.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "admission.h"
#include "ktrdr/core/check.h"
#include "text.h"

namespace ktrdr::http {
namespace {

constexpr std::string_view kToken = "token";

Router routes() {
  const auto nothing = SynchronousHandler([](const Request&) { return Response{}; });
  return Router({{Method::kGet, "/health", Access::kPublic, nothing},
                 {Method::kGet, "/api/v1/operations", Access::kToken, nothing},
                 {Method::kGet, "/api/v1/operations/{operation_id}", Access::kToken, nothing},
                 {Method::kPost, "/api/v1/operations/{operation_id}/resume", Access::kToken, nothing},
                 {Method::kDelete, "/api/v1/operations/{operation_id}", Access::kToken, nothing}});
}

std::string take(std::string_view& text, char until) {
  const std::size_t end = std::min(text.find(until), text.size());
  const std::string part(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

// "METHOD TARGET\nName: value\n...": what the parser of the transport would have made of it.
RequestHead head_of(std::string_view text) {
  RequestHead head{
      .method = take(text, ' '), .target = take(text, '\n'), .headers = {}, .remote_address = "::1"};
  while (!text.empty()) {
    std::string name = take(text, ':');
    head.headers.push_back({std::move(name), take(text, '\n')});
  }
  return head;
}

void check_refusal(const Response& response) {
  CHECK(response.status >= 400 && response.status < 500, "a refusal is the client's fault");
  CHECK(response.body.starts_with(R"({"success": false, "detail": ")"), "a refusal has the error body");
}

void check_admitted(const Admitted& admitted, const std::string& token) {
  const Request& request = admitted.request;
  CHECK(admitted.route->access == Access::kPublic || token.find(kToken) != std::string::npos,
        "nobody without the token");
  CHECK(is_valid_utf8(request.path) && !has_control_characters(request.path), "a path is plain text");
  CHECK((request.path + "/").find("/../") == std::string::npos, "a path leads nowhere else");
  CHECK(!request.header("Authorization"), "a secret is not passed on");
  for (const auto& [name, value] : request.parameters) {
    CHECK(!value.empty() && value.find('/') == std::string::npos, "a capture is one segment");
  }
}

void admit(std::string_view text) {
  static const Router router = routes();
  static const Admission admission({.token = std::string(kToken),
                                    .allowed_hosts = {"127.0.0.1", "localhost", "[::1]"},
                                    .target_bytes = 1024,
                                    .header_bytes = 2048,
                                    .body_bytes = 4096},
                                   router);
  RequestHead head = head_of(text);
  std::string token;
  for (const Header& header : head.headers) {
    if (equal_ignoring_case(header.name, "Authorization")) token += header.value;
  }
  const auto verdict = admission.admit(std::move(head));
  if (const auto* refusal = std::get_if<Response>(&verdict)) return check_refusal(*refusal);
  check_admitted(std::get<Admitted>(verdict), token);
}

}  // namespace
}  // namespace ktrdr::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ktrdr::http::admit({reinterpret_cast<const char*>(data), size});
  return 0;
}
