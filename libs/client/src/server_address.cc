#include "ktrdr/client/server_address.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "ktrdr/client/http_client.h"
#include "ktrdr/core/durable_file.h"

namespace ktrdr::client {
namespace {

constexpr const char* kDefaultUrl = "http://127.0.0.1:8000";
constexpr std::size_t kLargestSmallFile = 4096;

std::string without_blanks(std::string text) {
  constexpr const char* kBlanks = " \t\r\n";
  text.erase(0, std::min(text.find_first_not_of(kBlanks), text.size()));
  text.erase(text.find_last_not_of(kBlanks) + 1);
  return text;
}

// Nothing where there is no such file.
Result<std::optional<std::string>> read_small_file(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return std::optional<std::string>();
  TRY_ASSIGN(std::string text, read_file(file, kLargestSmallFile));
  return std::optional(without_blanks(std::move(text)));
}

std::optional<std::string> not_empty(std::optional<std::string> text) {
  return text && !text->empty() ? text : std::nullopt;
}

Result<std::string> find_url(const AddressOptions& options, const Environment& environment) {
  if (options.url) return normalized_url(*options.url);
  if (options.port) {
    if (*options.port < 1 || *options.port > 65535)
      return Error(ErrorCode::kInvalidArgument, "A port is a number from 1 to 65535.");
    return "http://127.0.0.1:" + std::to_string(*options.port);
  }
  if (const auto url = not_empty(environment("KTRDR_API_URL"))) return normalized_url(*url);
  TRY_ASSIGN(const auto written, read_small_file(find_data_dir(options, environment) / "server.url"));
  return normalized_url(not_empty(written).value_or(kDefaultUrl));
}

Result<std::string> checked_token(std::string token, const std::string& source) {
  if (is_header_value(token)) return token;
  return Error(ErrorCode::kInvalidArgument,
               "The token in " + source + " holds characters that no token has; write it again.");
}

Result<std::string> find_token(const std::string& url, const AddressOptions& options,
                               const Environment& environment) {
  if (const auto token = not_empty(environment("KTRDR_API_TOKEN")))
    return checked_token(*token, "KTRDR_API_TOKEN");
  const bool is_named = options.data_dir || not_empty(environment("KTRDR_DATA_DIR"));
  if (!is_named && !is_loopback_url(url)) return std::string();
  const std::filesystem::path file = find_data_dir(options, environment) / "token";
  TRY_ASSIGN(const auto token, read_small_file(file));
  return checked_token(token.value_or(""), file.string());
}

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

std::string part_of(CURLU* url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, 0) != CURLUE_OK) return "";
  std::string part = text;
  curl_free(text);
  return part;
}

std::string host_of(const std::string& text) {
  const std::unique_ptr<CURLU, UrlDeleter> url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return "";
  return part_of(url.get(), CURLUPART_HOST);
}

void drop_end(std::string& text, std::string_view end) {
  if (text.ends_with(end)) text.resize(text.size() - end.size());
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

std::filesystem::path find_data_dir(const AddressOptions& options, const Environment& environment) {
  if (options.data_dir) return *options.data_dir;
  if (const auto named = not_empty(environment("KTRDR_DATA_DIR"))) return *named;
  return std::filesystem::path(environment("HOME").value_or("/")) / ".ktrdr";
}

Result<ServerAddress> find_server(const AddressOptions& options, const Environment& environment) {
  TRY_ASSIGN(std::string url, find_url(options, environment));
  TRY_ASSIGN(std::string token, find_token(url, options, environment));
  return ServerAddress{std::move(url), std::move(token)};
}

Result<std::string> normalized_url(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  drop_end(text, "/api/v1");
  while (text.ends_with('/')) text.pop_back();
  const bool is_ours = text.starts_with("http://") || text.starts_with("https://");
  const bool is_plain = text.find_first_of("?#@") == std::string::npos;
  if (is_ours && is_plain && !host_of(text).empty()) return text;
  return Error(
      ErrorCode::kInvalidArgument,
      "The server's URL must look like http://127.0.0.1:8000, without a user name, query or fragment.");
}

bool is_loopback_url(const std::string& url) {
  const std::string host = host_of(url);
  const bool is_number =
      host.find_first_not_of("0123456789.") == std::string::npos;  // 127.example.com is not
  return host == "localhost" || host == "[::1]" || (is_number && host.starts_with("127."));
}

}  // namespace ktrdr::client
