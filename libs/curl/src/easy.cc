#include "ktrdr/curl/easy.h"

namespace ktrdr::curl {

void append(HeaderList& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  CHECK(longer != nullptr, "there is memory for a header");
  static_cast<void>(list.release());
  list.reset(longer);
}

void set_safety(CURL* easy, Duration connect_within) {
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy, CURLOPT_FOLLOWLOCATION, 0L);
  set(easy, CURLOPT_PROXY, "");  // "" also turns the environment's proxies off
  set(easy, CURLOPT_PATH_AS_IS, 1L);
  set(easy, CURLOPT_NOSIGNAL, 1L);  // no SIGALRM: other threads are busy training
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connect_within.count()));
  set(easy, CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);  // a large body is not worth a wait
}

int status_of(CURL* easy) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  return static_cast<int>(status);
}

std::string reason_of(CURLcode code, const char* detail) {
  return detail[0] != '\0' ? detail : curl_easy_strerror(code);
}

}  // namespace ktrdr::curl
