#include "ktrdr/s3/s3_settings.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

namespace ktrdr::s3 {
namespace {

constexpr std::string_view kScheme = "s3://";
constexpr std::size_t kLongestPrefix = 512;  // a key has 1024 bytes, and ours need room behind it

Error wrong(const std::string& what) { return {ErrorCode::kInvalidArgument, what}; }

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_bucket_name(std::string_view name) {
  const auto is_allowed = [](char c) { return is_lower_or_digit(c) || c == '-' || c == '.'; };
  return name.size() >= 3 && name.size() <= 63 && std::all_of(name.begin(), name.end(), is_allowed) &&
         is_lower_or_digit(name.front()) && is_lower_or_digit(name.back()) &&
         name.find("..") == std::string_view::npos;
}

// Anything else could change the string that curl splits at colons, or the name of a host.
bool is_region(std::string_view name) {
  const auto is_allowed = [](char c) { return is_lower_or_digit(c) || c == '-' || c == '_'; };
  return !name.empty() && std::all_of(name.begin(), name.end(), is_allowed);
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

// Segments that a proxy or a server might fold away would make the signature wrong, or name other objects.
bool is_prefix(std::string_view prefix) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (prefix.size() > kLongestPrefix || std::any_of(prefix.begin(), prefix.end(), is_control)) return false;
  for (std::size_t at = 0; at <= prefix.size();) {
    const std::size_t end = std::min(prefix.find('/', at), prefix.size());
    const std::string_view segment = prefix.substr(at, end - at);
    if (segment.empty() || segment == "." || segment == "..") return false;
    at = end + 1;
  }
  return true;
}

std::string first_of(const Environment& environment, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (auto value = environment(name); value && !value->empty()) return *std::move(value);
  }
  return {};
}

Result<std::string> secret(const Environment& environment, const char* name, bool is_required) {
  std::string value = first_of(environment, {name});
  if (value.empty() && is_required) return wrong(std::string("Set ") + name + ": an s3:// place needs it.");
  if (!is_printable(value)) return wrong(std::string(name) + " may only hold printable ASCII characters.");
  return value;
}

Result<S3Credentials> find_credentials(const Environment& environment) {
  S3Credentials credentials;
  TRY_ASSIGN(credentials.access_key_id, secret(environment, "AWS_ACCESS_KEY_ID", true));
  TRY_ASSIGN(credentials.secret_access_key, secret(environment, "AWS_SECRET_ACCESS_KEY", true));
  TRY_ASSIGN(credentials.session_token, secret(environment, "AWS_SESSION_TOKEN", false));
  return credentials;
}

Result<std::string> find_endpoint(const Environment& environment) {
  std::string endpoint = first_of(environment, {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"});
  while (endpoint.ends_with('/')) endpoint.pop_back();
  if (endpoint.empty()) return endpoint;
  const bool has_scheme = endpoint.starts_with("http://") || endpoint.starts_with("https://");
  if (!has_scheme || !is_printable(endpoint) || endpoint.find_first_of("?#@") != std::string::npos) {
    return wrong(
        "AWS_ENDPOINT_URL must be a URL like https://s3.example.org:9000, without a user or a query.");
  }
  return endpoint;
}

Result<std::string> find_region(const Environment& environment, bool has_endpoint) {
  std::string region = first_of(environment, {"AWS_REGION", "AWS_DEFAULT_REGION"});
  if (region.empty() && has_endpoint) return std::string("us-east-1");
  if (region.empty())
    return wrong("Set AWS_REGION to the bucket's region, or AWS_ENDPOINT_URL to your server.");
  if (!is_region(region)) return wrong("AWS_REGION must look like eu-west-1.");
  return region;
}

// The path of an endpoint is signed with the rest, so it is taken apart from the host.
void address_by_path(S3Settings& settings, const std::string& endpoint) {
  const std::size_t host = endpoint.find("//") + 2;
  const std::size_t path = std::min(endpoint.find('/', host), endpoint.size());
  settings.url = endpoint.substr(0, path);
  settings.base_path = endpoint.substr(path) + "/" + settings.place.bucket;
}

void address(S3Settings& settings, const std::string& endpoint) {
  const std::string amazon = "s3." + settings.region + ".amazonaws.com";
  const bool has_dot = settings.place.bucket.find('.') != std::string::npos;  // no certificate covers it
  if (!endpoint.empty()) {
    address_by_path(settings, endpoint);
  } else if (has_dot) {
    address_by_path(settings, "https://" + amazon);
  } else {
    settings.url = "https://" + settings.place.bucket + "." + amazon;
  }
}

}  // namespace

bool is_s3_url(const std::string& text) { return text.starts_with(kScheme); }

Result<S3Place> parse_s3_url(const std::string& text) {
  if (!is_s3_url(text)) return wrong("This is not a place like s3://bucket/prefix.");
  const std::string rest = text.substr(kScheme.size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  S3Place place{rest.substr(0, slash), slash < rest.size() ? rest.substr(slash + 1) : ""};
  if (place.prefix.size() > 1 && place.prefix.ends_with('/')) place.prefix.pop_back();
  if (!is_bucket_name(place.bucket)) {
    return wrong("A bucket's name has 3 to 63 characters out of a-z, 0-9, - and dots: s3://bucket/prefix.");
  }
  if (!place.prefix.empty() && !is_prefix(place.prefix)) {
    return wrong(
        "The prefix of s3://bucket/prefix has at most 512 bytes, no control characters and no empty, . "
        "or .. segment.");
  }
  return place;
}

Result<S3Settings> find_s3_settings(const std::string& url, const Environment& environment) {
  S3Settings settings;
  TRY_ASSIGN(settings.place, parse_s3_url(url));
  TRY_ASSIGN(settings.credentials, find_credentials(environment));
  TRY_ASSIGN(const std::string endpoint, find_endpoint(environment));
  TRY_ASSIGN(settings.region, find_region(environment, !endpoint.empty()));
  address(settings, endpoint);
  return settings;
}

}  // namespace ktrdr::s3
