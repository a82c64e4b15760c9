#include "ktrdr/client/http_client.h"

#include <algorithm>
#include <utility>

#include "ktrdr/core/log.h"
#include "ktrdr/curl/easy_pool.h"

namespace ktrdr::client {
namespace {

using curl::set;

constexpr std::size_t kLargestAnswer = std::size_t{64} << 20;
constexpr std::size_t kMostIdle = 8;
constexpr Duration kConnectWithin = std::chrono::seconds(2);

struct Received {
  std::string body;
  bool is_too_large = false;
};

std::size_t receive(char* bytes, std::size_t size, std::size_t count, void* target) {
  auto& received = *static_cast<Received*>(target);
  const std::size_t length = size * count;
  if (received.body.size() + length > kLargestAnswer) {
    received.is_too_large = true;
    return 0;  // libcurl ends the transfer with CURLE_WRITE_ERROR
  }
  received.body.append(bytes, length);
  return length;
}

Result<curl::HeaderList> header_list(const HttpRequest& request) {
  curl::HeaderList list;
  for (const HttpHeader& header : request.headers) {
    if (!is_header_value(header.value)) {
      return Error(ErrorCode::kInvalidArgument,
                   "The value of the header " + header.name + " may only hold printable ASCII characters.");
    }
    append(list, header.name + ": " + header.value);
  }
  if (request.method != "GET") append(list, "Content-Type: application/json");
  return list;
}

void set_request(CURL* easy, const HttpRequest& request) {
  set(easy, CURLOPT_URL, request.url.c_str());
  set(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  if (request.method == "GET") {
    set(easy, CURLOPT_HTTPGET, 1L);
    return;
  }
  set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  set(easy, CURLOPT_POSTFIELDS, request.body.c_str());
  set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

Error error_of(CURLcode code, const char* detail, const Received& received) {
  if (received.is_too_large)
    return {ErrorCode::kTooLarge, "The answer is larger than 64 MiB; ask for less at a time."};
  if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
    return {ErrorCode::kInvalidArgument, "This is not a URL that starts with http:// or https://."};
  }
  return {ErrorCode::kUnavailable, curl::reason_of(code, detail)};
}

void log_outcome(CURL* easy, const HttpRequest& request, const std::string& outcome) {
  curl_off_t microseconds = 0;
  curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &microseconds);
  log(LogLevel::kDebug, "http request",
      {{"method", request.method},
       {"url", request.url},
       {"outcome", outcome},
       {"ms", std::to_string(microseconds / 1000)}});
}

Result<HttpAnswer> perform(CURL* easy, const HttpRequest& request) {
  TRY_ASSIGN(const curl::HeaderList headers, header_list(request));
  Received received;
  char detail[CURL_ERROR_SIZE] = "";
  curl::set_safety(easy, kConnectWithin);
  set_request(easy, request);
  set(easy, CURLOPT_HTTPHEADER, headers.get());
  set(easy, CURLOPT_WRITEFUNCTION, &receive);
  set(easy, CURLOPT_WRITEDATA, &received);
  set(easy, CURLOPT_ERRORBUFFER, detail);

  const CURLcode code = curl_easy_perform(easy);
  if (code != CURLE_OK) {
    log_outcome(easy, request, curl_easy_strerror(code));
    return error_of(code, detail, received);
  }
  const int status = curl::status_of(easy);
  log_outcome(easy, request, std::to_string(status));
  return HttpAnswer{status, std::move(received.body)};
}

}  // namespace

HttpClient::HttpClient() : pool_(std::make_unique<curl::EasyPool>(kMostIdle)) {}
HttpClient::~HttpClient() = default;

Result<HttpAnswer> HttpClient::request(const HttpRequest& request) {
  curl::Easy easy = pool_->take();
  Result<HttpAnswer> answer = perform(easy.get(), request);
  pool_->give_back(std::move(easy));
  return answer;
}

bool is_header_value(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace ktrdr::client
