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

ErrorCode code_of_status(int status) {
  switch (status) {
    case 400:
    case 405:
    case 415:
    case 422: return ErrorCode::kInvalidArgument;
    case 401: return ErrorCode::kUnauthorized;
    case 403: return ErrorCode::kForbidden;
    case 404: return ErrorCode::kNotFound;
    case 409: return ErrorCode::kConflict;
    case 412: return ErrorCode::kPreconditionFailed;
    case 413: return ErrorCode::kTooLarge;
    case 408:
    case 429:
    case 502:
    case 503:
    case 504: return ErrorCode::kUnavailable;
    default: return ErrorCode::kInternal;
  }
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
  return {by_status, "The " + peer.name + " at " + peer.url + " answered with HTTP status " +
                         std::to_string(answer.status) + " and no reason."};
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
