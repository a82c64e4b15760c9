#include "ktrdr/http/error_mapping.h"

#include <string>

#include "text.h"

namespace ktrdr::http {
namespace {

std::string escaped(char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto code = static_cast<unsigned char>(byte);
  if (byte == '"' || byte == '\\') return {'\\', byte};
  if (code < 0x20 || code == 0x7F) return {'\\', 'u', '0', '0', kDigits[code >> 4], kDigits[code & 15]};
  return {byte};
}

// A message may hold a file's name, and those are only bytes: what is not UTF-8 is shown as "?".
std::string json_string(std::string_view text) {
  const bool readable = is_valid_utf8(text);
  std::string quoted = "\"";
  for (const char byte : text) quoted += !readable && (byte & '\x80') != 0 ? "?" : escaped(byte);
  return quoted + '"';
}

}  // namespace

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported: return 400;
    case ErrorCode::kUnauthorized: return 401;
    case ErrorCode::kForbidden: return 403;
    case ErrorCode::kNotFound:
    case ErrorCode::kCheckpointNotFound: return 404;
    case ErrorCode::kConflict:
    case ErrorCode::kStale: return 409;
    case ErrorCode::kPreconditionFailed: return 412;
    case ErrorCode::kTooLarge: return 413;
    case ErrorCode::kCheckpointCorrupted: return 422;
    case ErrorCode::kIo:
    case ErrorCode::kInternal: return 500;
    case ErrorCode::kUnavailable: return 503;
  }
  return 500;
}

Response error_response(int status, std::string_view code, std::string_view sentence,
                        std::string_view details_json) {
  const std::string message = json_string(sentence);
  Response response;
  response.status = status;
  response.body = R"({"success": false, "detail": )" + message + R"(, "error": {"code": )" +
                  json_string(code) + R"(, "message": )" + message + R"(, "details": )" +
                  std::string(details_json) + "}}";
  return response;
}

Response error_response(const Error& error, std::string_view details_json) {
  return error_response(status_of(error.code), to_string(error.code), error.message, details_json);
}

}  // namespace ktrdr::http
