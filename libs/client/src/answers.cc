#include "answers.h"

#include <optional>

#include "ktrdr/api/operation.h"

namespace ktrdr::client::internal {
namespace {

std::optional<ErrorCode> parse_error_code(std::string_view text) {
  for (int number = 0; number <= static_cast<int>(ErrorCode::kInternal); ++number) {
    const auto code = static_cast<ErrorCode>(number);
    if (to_string(code) == text) return code;
  }
  return std::nullopt;
}

// Without one of our codes it is the answer of a proxy, or of another program at that address, and decides
// nothing: a 404 of whoever got the port of a stopped server must not end a training.
ErrorCode code_of_status(int status) {
  switch (status) {
    case 401: return ErrorCode::kUnauthorized;
    case 403: return ErrorCode::kForbidden;
    case 413: return ErrorCode::kTooLarge;
    case 500: return ErrorCode::kInternal;
    default: return ErrorCode::kUnavailable;
  }
}

std::string sentence_of(const Peer& peer, int status, ErrorCode code) {
  const std::string what_to_do = code == ErrorCode::kUnavailable ? " " + peer.when_unreachable : "";
  return "The " + peer.name + " at " + peer.url + " answered with HTTP status " + std::to_string(status) +
         " and no reason." + what_to_do;
}

}  // namespace

Error error_of(const Peer& peer, const HttpAnswer& answer) {
  const auto body = api::from_json<api::ErrorBody>(answer.body, api::UnknownKeys::kIgnore);
  const ErrorCode by_status = code_of_status(answer.status);
  if (body.ok()) {
    const ErrorCode code = parse_error_code(body->error.code).value_or(by_status);
    if (!body->detail.empty()) return {code, body->detail};
    if (!body->error.message.empty()) return {code, body->error.message};
  }
  return {by_status, sentence_of(peer, answer.status, by_status)};
}

Error cannot_reach(const Peer& peer, Error reason) {
  if (reason.code != ErrorCode::kUnavailable) return reason;
  reason.message = "Cannot reach the " + peer.name + " at " + peer.url + ": " + reason.message + ". " +
                   peer.when_unreachable;
  return reason;
}

Error cannot_read(const Peer& peer, const Error& reason) {
  return {ErrorCode::kInternal, "The answer of " + peer.url + " is not one of a " + peer.name +
                                    " of this version: " + reason.message};
}

}  // namespace ktrdr::client::internal
