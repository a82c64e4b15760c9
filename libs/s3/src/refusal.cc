#include "refusal.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "xml_text.h"

namespace ktrdr::s3 {
namespace {

constexpr std::array kTransientStatuses = {429, 500, 502, 503, 504};
constexpr std::array<std::string_view, 6> kTransientCodes = {
    "RequestTimeout",     "SlowDown",         "InternalError",
    "ServiceUnavailable", "OperationAborted", "ConditionalRequestConflict"};

struct Meaning {
  std::string_view code;
  ErrorCode error;
  std::string_view sentence;
};
constexpr Meaning kMeanings[] = {
    {"InvalidAccessKeyId", ErrorCode::kUnauthorized,
     "The S3 server does not know the access key: check AWS_ACCESS_KEY_ID."},
    {"SignatureDoesNotMatch", ErrorCode::kUnauthorized,
     "The S3 server refused the signature: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, then "
     "AWS_REGION."},
    {"AuthorizationHeaderMalformed", ErrorCode::kUnauthorized,
     "The S3 server expects another region in the signature: check AWS_REGION."},
    {"ExpiredToken", ErrorCode::kUnauthorized,
     "The temporary keys have expired: set new AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
     "AWS_SESSION_TOKEN."},
    {"InvalidToken", ErrorCode::kUnauthorized,
     "The S3 server refused the session token: check AWS_SESSION_TOKEN, which belongs to temporary keys "
     "only."},
    {"RequestTimeTooSkewed", ErrorCode::kUnauthorized,
     "This machine's clock differs from the S3 server's by more than signatures allow: set it."},
    {"AccessDenied", ErrorCode::kForbidden,
     "The key in AWS_ACCESS_KEY_ID may not do this: let it list the bucket and read, write and delete in "
     "it."},
    {"NoSuchBucket", ErrorCode::kInvalidArgument, "There is no such bucket: create it, or correct its name."},
    {"PermanentRedirect", ErrorCode::kInvalidArgument, "The bucket is in another region: check AWS_REGION."},
    {"IllegalLocationConstraintException", ErrorCode::kInvalidArgument,
     "The bucket is in another region: check AWS_REGION."},
    {"EntityTooLarge", ErrorCode::kTooLarge, "The S3 server takes no objects of this size."},
};

bool is_word(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), is_letter);
}

Meaning meaning_of_status(int status) {
  switch (status) {
    case 301:
    case 307:
      return {"", ErrorCode::kInvalidArgument,
              "The bucket is elsewhere: check AWS_REGION and AWS_ENDPOINT_URL."};
    case 401:
    case 403:
      return {"", ErrorCode::kForbidden,
              "The S3 server refused the keys: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
              "AWS_REGION, and "
              "that the key may list, read, write and delete in the bucket."};
    case 404: return {"", ErrorCode::kNotFound, "There is no such object."};
    case 409:
    case 412:
      return {"", ErrorCode::kConflict, "There already is such an object, and it is never overwritten."};
    default: return {"", ErrorCode::kIo, "The S3 server refused this: see its log."};
  }
}

Meaning meaning_of(const std::string& code, int status) {
  for (const Meaning& meaning : kMeanings) {
    if (meaning.code == code) return meaning;
  }
  return meaning_of_status(status);
}

}  // namespace

std::string refusal_code(const Answer& answer) {
  const auto root = parse_xml(answer.body);
  if (!root.ok() || root->name != "Error") return {};
  const std::string code = root->text_of("Code");
  return is_word(code) ? code : "";
}

bool is_transient(const Answer& answer) {
  if (std::ranges::find(kTransientStatuses, answer.status) != kTransientStatuses.end()) return true;
  return std::ranges::find(kTransientCodes, refusal_code(answer)) != kTransientCodes.end();
}

Error error_of(const Answer& answer, const Exchange& exchange, const S3Settings& settings) {
  const std::string code = refusal_code(answer);
  const std::string told = std::to_string(answer.status) + (code.empty() ? "" : " " + code);
  const Meaning meaning =
      is_transient(answer) ? Meaning{"", ErrorCode::kUnavailable, "The S3 server is overloaded or failing."}
                           : meaning_of(code, answer.status);
  return Error(meaning.error, std::string(meaning.sentence))
      .while_doing(exchange.method + " " + settings.place.bucket + "/" + exchange.key + ", answered " + told);
}

}  // namespace ktrdr::s3
