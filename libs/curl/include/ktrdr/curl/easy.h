// libcurl's handle of one request at a time ("easy"), owned. One thread at a time may use it.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/result.h"

namespace ktrdr::curl {

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;

struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

void append(HeaderList& list, const std::string& line);  // "Name: value"

// libcurl wants variadic calls; every option here is one that this version knows, so a refusal is our bug.
template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
  CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK, "libcurl knows this option");
}

// Only http and https, no redirects, no proxies (the environment's neither: a token must not leave the
// machine because of a variable), the path as it is, no signals.
void set_safety(CURL* easy, Duration connect_within);

int status_of(CURL* easy);  // of the last answer; 0: none

// `detail` is CURLOPT_ERRORBUFFER's text, which says more when it says anything.
std::string reason_of(CURLcode code, const char* detail);

}  // namespace ktrdr::curl
