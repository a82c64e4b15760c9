// Where a bucket is and who asks for it: from an s3:// URL and the variables that every S3 tool reads.
//
//   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY   required
//   AWS_SESSION_TOKEN                          with temporary keys
//   AWS_REGION, AWS_DEFAULT_REGION             required without an endpoint; with one, us-east-1 by default
//   AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL      another server than Amazon's; addressed by path
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "ktrdr/core/result.h"

namespace ktrdr::s3 {

// The value of a variable; an empty one counts as absent.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

struct S3Place {
  std::string bucket;
  std::string prefix;  // without a slash at either end; empty: the whole bucket
};

// Neither logged nor part of any message.
struct S3Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  // empty: none
};

struct S3Settings {
  S3Place place;
  std::string url;  // of the bucket, without a slash at its end: "https://name.s3.eu-west-1.amazonaws.com"
  std::string base_path;  // what every path starts with: "" or, addressed by path, "/name"
  std::string region;
  S3Credentials credentials;
};

bool is_s3_url(const std::string& text);  // starts with s3://

// "s3://bucket/some/prefix". kInvalidArgument says what is wrong, without repeating the text: someone may
// have put a secret into it.
Result<S3Place> parse_s3_url(const std::string& text);

// kInvalidArgument names the variable that is missing or can't be used.
Result<S3Settings> find_s3_settings(const std::string& url, const Environment& environment);

}  // namespace ktrdr::s3
