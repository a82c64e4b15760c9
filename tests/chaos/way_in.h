// HTTP with one of the two servers, as people and old requests use it: short patience, and no answer is an
// answer.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/client/http_client.h"

namespace ktrdr::chaos {

struct Reply {
  int status = 0;
  nlohmann::json body;

  bool accepted() const { return status >= 200 && status < 300; }
  bool is_trouble() const {
    return status >= 500;
  }  // of the server's own: what was asked for may be done or not
  std::string code() const {
    return body.is_object() && body.contains("error") ? body["error"].value("code", "") : "";
  }
  std::string describe() const { return std::to_string(status) + " " + body.dump(); }
};

struct Question {
  std::string method, path, body;
  std::vector<client::HttpHeader> headers;
};

class WayIn {
 public:
  WayIn(std::vector<std::string> urls, std::string token)
      : urls_(std::move(urls)), token_(std::move(token)) {}

  // Nothing: no answer came.
  std::optional<Reply> ask(std::size_t server, const Question& question) {
    auto headers = question.headers;
    headers.push_back({"Authorization", "Bearer " + token_});
    const auto answer = http_.request({.method = question.method,
                                       .url = urls_[server % urls_.size()] + "/api/v1" + question.path,
                                       .body = question.body,
                                       .headers = std::move(headers),
                                       .timeout = kPatience});
    if (!answer.ok()) return std::nullopt;
    return Reply{answer->status, nlohmann::json::parse(answer->body, nullptr, /*allow_exceptions=*/false)};
  }

 private:
  static constexpr Duration kPatience{3000};

  const std::vector<std::string> urls_;
  const std::string token_;
  client::HttpClient http_;
};

}  // namespace ktrdr::chaos
