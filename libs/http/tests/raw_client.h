// A client that sends exactly the bytes it is told to, and reads until the answer is whole or the connection
// closed.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ktrdr/core/check.h"

namespace ktrdr::http {

struct RawResponse {
  int status = 0;
  std::string head;  // status line and headers
  std::string body;

  // Lower-case name; empty when there is no such header.
  std::string header(std::string_view name) const {
    std::string lower = head;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    const std::size_t start = lower.find("\r\n" + std::string(name) + ": ");
    if (start == std::string::npos) return "";
    const std::size_t value = start + name.size() + 4;
    return head.substr(value, head.find("\r\n", value) - value);
  }
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
          "the server listens");
  }
  RawClient(RawClient&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), received_(std::move(other.received_)) {}
  RawClient& operator=(RawClient&&) = delete;
  ~RawClient() {
    if (socket_ >= 0) ::close(socket_);
  }

  // False when the server has closed meanwhile.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  // None when the connection ends before an answer is whole. An answer to HEAD has no body, whatever its
  // length says.
  std::optional<RawResponse> read_response(bool is_head = false) {
    std::size_t end;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
      if (!receive()) return std::nullopt;
    }
    RawResponse response{
        .status = std::stoi(received_.substr(9, 3)), .head = received_.substr(0, end + 2), .body = {}};
    received_.erase(0, end + 4);
    const std::string length = response.header("content-length");
    const std::size_t size = is_head || length.empty() ? 0 : std::stoul(length);
    while (received_.size() < size) {
      if (!receive()) return std::nullopt;
    }
    response.body = received_.substr(0, size);
    received_.erase(0, size);
    return response;
  }

  // Everything up to and including `text`, as it comes: heads and chunks; less when the connection ends
  // first.
  std::string read_until(std::string_view text) {
    std::size_t found;
    while ((found = received_.find(text)) == std::string::npos) {
      if (!receive()) return std::exchange(received_, {});
    }
    std::string all = received_.substr(0, found + text.size());
    received_.erase(0, all.size());
    return all;
  }

  bool has_input(std::chrono::milliseconds within) {
    pollfd waiting{socket_, POLLIN, 0};
    return ::poll(&waiting, 1, static_cast<int>(within.count())) > 0;
  }

  // Whether the server ended the connection in good order, with nothing more to read.
  bool is_closed() {
    const bool got_more = receive();
    return !got_more && !timed_out_ && !was_reset_ && received_.empty();
  }

 private:
  bool receive() {
    pollfd waiting{socket_, POLLIN, 0};
    timed_out_ = ::poll(&waiting, 1, kPatienceMs) == 0;
    if (timed_out_) return false;
    char bytes[4096];
    const ssize_t count = ::recv(socket_, bytes, sizeof bytes, 0);
    was_reset_ = count < 0;
    if (count <= 0) return false;
    received_.append(bytes, static_cast<std::size_t>(count));
    return true;
  }

  static constexpr int kPatienceMs = 10'000;
  int socket_;
  std::string received_;
  bool timed_out_ = false;
  bool was_reset_ = false;
};

}  // namespace ktrdr::http
