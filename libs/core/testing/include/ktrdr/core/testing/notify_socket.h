// The service manager's end of the notify protocol: a datagram socket in a folder.
#pragma once

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "ktrdr/core/check.h"

namespace ktrdr::testing {

class NotifySocket {
 public:
  // `name`: a path, or "@..." for one without a file.
  explicit NotifySocket(std::string name)
      : name_(std::move(name)), descriptor_(::socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    CHECK(name_.size() < sizeof address.sun_path, "the name of a socket is short");
    std::copy(name_.begin(), name_.end(), address.sun_path);
    if (name_.front() == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    CHECK(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), length) == 0, "the name is free");
    const timeval patience{.tv_sec = 30, .tv_usec = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~NotifySocket() { ::close(descriptor_); }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  const std::string& name() const { return name_; }

  // Waits for it; "" when none came in 30 s.
  std::string next_message() {
    char buffer[256];
    const auto size = ::recv(descriptor_, buffer, sizeof buffer, 0);
    return size < 0 ? "" : std::string(buffer, static_cast<std::size_t>(size));
  }
  bool has_message() {
    char byte = 0;
    return ::recv(descriptor_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
  }

 private:
  const std::string name_;
  const int descriptor_;
};

}  // namespace ktrdr::testing
