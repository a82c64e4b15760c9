// Every answer that the transport gives by itself, as a table: constant text, so that nothing a client sent
// comes back.
#pragma once

#include <string_view>

#include "ktrdr/http/error_mapping.h"

namespace ktrdr::http {

struct Refusal {
  int status;
  std::string_view code;
  std::string_view sentence;
};

inline constexpr Refusal kMalformed{400, "INVALID_ARGUMENT", "This is not a well-formed HTTP/1.1 request."};
inline constexpr Refusal kBadTarget{400, "INVALID_ARGUMENT",
                                    "The path or query is not allowed: send an absolute path, percent-encode "
                                    "valid UTF-8 once, and leave out control "
                                    "characters, encoded slashes, backslashes and dot segments."};
inline constexpr Refusal kBadQuery{400, "INVALID_ARGUMENT",
                                   "The query is not allowed: give every name once, and percent-encode valid "
                                   "UTF-8 without control characters."};
inline constexpr Refusal kBadFraming{
    400, "INVALID_ARGUMENT",
    "The length of the body is unclear: send either one Content-Length or Transfer-Encoding: chunked."};
inline constexpr Refusal kMissingHost{400, "INVALID_ARGUMENT", "Send exactly one Host header."};
inline constexpr Refusal kBodyNotUtf8{400, "INVALID_ARGUMENT", "The body must be valid UTF-8."};
inline constexpr Refusal kMissingToken{
    401, "UNAUTHORIZED", "This needs the server's token: send the header Authorization: Bearer <token>."};
inline constexpr Refusal kHostNotAllowed{
    403, "FORBIDDEN",
    "This server does not answer to that Host: use its address, or allow the name when starting it."};
inline constexpr Refusal kOriginNotAllowed{403, "FORBIDDEN",
                                           "Web pages of other origins may not use this server."};
// Not NOT_FOUND: that an operation is not there is only said by who would know it.
inline constexpr Refusal kNoSuchRoute{404, "NO_SUCH_ROUTE", "There is nothing at this path."};
inline constexpr Refusal kMethodNotAllowed{405, "METHOD_NOT_ALLOWED",
                                           "This path does not have this method: see the Allow header."};
inline constexpr Refusal kTooSlow{408, "REQUEST_TIMEOUT",
                                  "The request did not arrive in time: send it again."};
inline constexpr Refusal kBodyTooLarge{413, "TOO_LARGE", "The body is larger than this server accepts."};
inline constexpr Refusal kTargetTooLong{414, "TOO_LARGE",
                                        "The path and query are longer than this server accepts."};
inline constexpr Refusal kNotJson{
    415, "UNSUPPORTED_MEDIA_TYPE",
    "A request with a body needs the header Content-Type: application/json, and no Content-Encoding."};
inline constexpr Refusal kBadExpectation{417, "INVALID_ARGUMENT",
                                         "The only expectation is Expect: 100-continue."};
inline constexpr Refusal kHeadersTooLarge{431, "TOO_LARGE",
                                          "The headers are larger than this server accepts."};
inline constexpr Refusal kHandlerFailed{500, "INTERNAL_ERROR",
                                        "The server failed to answer. This is a bug: its log says more."};
inline constexpr Refusal kStopping{503, "UNAVAILABLE", "The server is stopping: try again when it is back."};
inline constexpr Refusal kTooManyConnections{503, "UNAVAILABLE",
                                             "The server has too many connections: try again later."};

inline Response refuse(const Refusal& refusal) {
  return error_response(refusal.status, refusal.code, refusal.sentence);
}

}  // namespace ktrdr::http
