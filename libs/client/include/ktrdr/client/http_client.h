// One HTTP request, one answer. Only http and https, no redirects, no proxies (the environment's neither: a
// token must not leave the machine because of a variable), 2 s to connect, at most 64 MiB an answer.
//
// Safe to call from several threads: connections wait in a pool and each request takes one for itself.
// Nothing here retries, except that a connection which the peer closed while it was idle is opened again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/result.h"

namespace ktrdr::curl {
class EasyPool;
}

namespace ktrdr::client {

struct HttpHeader {
  std::string name, value;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::string body;
  std::vector<HttpHeader> headers;
  Duration timeout{30'000};  // for all of it, from the connect to the last byte
};

struct HttpAnswer {
  int status = 0;
  std::string body;
};

class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Any status is an answer. kUnavailable: the peer can't be reached, hung up or took too long; the message
  // is the reason alone ("Connection refused"), callers say who the peer is. kTooLarge: the answer is over
  // the limit. kInvalidArgument: not a URL that we speak.
  Result<HttpAnswer> request(const HttpRequest& request);

 private:
  std::unique_ptr<curl::EasyPool> pool_;
};

// True for what may stand in a header's value: printable ASCII.
bool is_header_value(const std::string& text);

}  // namespace ktrdr::client
