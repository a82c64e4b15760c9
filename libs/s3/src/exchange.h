// One signed request and its answer, over libcurl. Nothing here tries again or knows what an answer means.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ktrdr/core/result.h"
#include "ktrdr/s3/s3_settings.h"
#include "uri_text.h"

namespace ktrdr::curl {
class EasyPool;
}

namespace ktrdr::s3 {

using Pieces = std::vector<std::span<const std::byte>>;

struct Exchange {
  std::string method = "GET";
  std::string key;  // not encoded; empty: the bucket itself
  Query query;
  std::vector<std::string> header_lines;  // "If-None-Match: *"; they are signed
  Pieces payload;
  std::size_t at_most = std::size_t{8} << 20;  // bytes of a good answer
  std::span<std::byte> into = {};              // takes its body, where it is given, instead of `body`
};

struct Answer {
  int status = 0;
  std::string body;
  std::uint64_t size = 0;                      // of the body, wherever it is
  std::map<std::string, std::string> headers;  // names in lower case
  bool is_good() const { return status >= 200 && status < 300; }
};

// Connections wait in a pool; each exchange takes one for itself, so several threads may call at once.
class Exchanger {
 public:
  explicit Exchanger(S3Settings settings);
  ~Exchanger();

  // Any status is an answer. kUnavailable: the server can't be reached, hung up, or was silent for long.
  // kTooLarge: a good answer is longer than `at_most`, or than `into`.
  Result<Answer> perform(const Exchange& exchange);

  const S3Settings& settings() const { return settings_; }

 private:
  const S3Settings settings_;
  std::unique_ptr<curl::EasyPool> pool_;
};

}  // namespace ktrdr::s3
