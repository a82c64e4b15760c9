#include "ktrdr/client/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "ktrdr/core/log.h"
#include "ktrdr/core/synchronized.h"

namespace ktrdr::client {
namespace {

constexpr std::size_t kLargestAnswer = std::size_t{64} << 20;
constexpr std::size_t kMostIdle = 8;
constexpr long kConnectTimeoutMs = 2'000;

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;

struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

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

// libcurl wants variadic calls; every option here is one that this version knows, so a refusal is our bug.
template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
  CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK, "libcurl knows this option");
}

void append(HeaderList& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  CHECK(longer != nullptr, "there is memory for a header");
  static_cast<void>(list.release());
  list.reset(longer);
}

Result<HeaderList> header_list(const HttpRequest& request) {
  HeaderList list;
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

void set_safety(CURL* easy) {
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy, CURLOPT_FOLLOWLOCATION, 0L);
  set(easy, CURLOPT_PROXY, "");  // "" also turns the environment's proxies off
  set(easy, CURLOPT_PATH_AS_IS, 1L);
  set(easy, CURLOPT_NOSIGNAL, 1L);  // no SIGALRM: other threads are busy training
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  set(easy, CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);  // a large body is not worth a wait
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
  return {ErrorCode::kUnavailable, detail[0] != '\0' ? detail : curl_easy_strerror(code)};
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
  TRY_ASSIGN(const HeaderList headers, header_list(request));
  Received received;
  char detail[CURL_ERROR_SIZE] = "";
  set_safety(easy);
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
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  log_outcome(easy, request, std::to_string(status));
  return HttpAnswer{static_cast<int>(status), std::move(received.body)};
}

}  // namespace

// A handle keeps its connections, so a handle that comes back is a connection that can be used again.
class HttpClient::Pool {
 public:
  Pool() {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  }

  Easy take() {
    Easy easy = take_idle();
    if (easy == nullptr) easy.reset(curl_easy_init());
    CHECK(easy != nullptr, "there is memory for a connection");
    return easy;
  }

  void give_back(Easy easy) {
    curl_easy_reset(easy.get());  // forgets the request, keeps the connections
    auto idle = idle_.lock();
    if (idle->size() < kMostIdle) idle->push_back(std::move(easy));
  }

 private:
  Easy take_idle() {
    auto idle = idle_.lock();
    if (idle->empty()) return nullptr;
    Easy easy = std::move(idle->back());
    idle->pop_back();
    return easy;
  }

  Synchronized<std::vector<Easy>> idle_;
};

HttpClient::HttpClient() : pool_(std::make_unique<Pool>()) {}
HttpClient::~HttpClient() = default;

Result<HttpAnswer> HttpClient::request(const HttpRequest& request) {
  Easy easy = pool_->take();
  Result<HttpAnswer> answer = perform(easy.get(), request);
  pool_->give_back(std::move(easy));
  return answer;
}

bool is_header_value(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace ktrdr::client
