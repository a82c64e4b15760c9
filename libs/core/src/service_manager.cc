#include "ktrdr/core/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>

namespace ktrdr {
namespace {

std::string take(const char* variable) {
  const char* value = std::getenv(variable);
  std::string text = value ? value : "";
  ::unsetenv(variable);
  return text;
}

std::optional<std::int64_t> number_in(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number <= 0) return std::nullopt;
  return number;
}

}  // namespace

ServiceManager ServiceManager::from_environment() {
  ServiceManager manager;
  manager.socket_ = take("NOTIFY_SOCKET");
  const auto microseconds = number_in(take("WATCHDOG_USEC"));
  const std::string watched = take("WATCHDOG_PID");
  const bool is_us = watched.empty() || number_in(watched) == ::getpid();
  if (microseconds && is_us && !manager.socket_.empty()) {
    manager.alive_every_ = std::max(Duration(*microseconds / 2000), Duration(1));
  }
  return manager;
}

void ServiceManager::tell(std::string_view message) const {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (socket_.empty() || socket_.size() >= sizeof address.sun_path) return;
  std::copy(socket_.begin(), socket_.end(), address.sun_path);
  if (socket_.front() == '@') address.sun_path[0] = '\0';  // Linux's own namespace for sockets
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  const int descriptor = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return;
  static_cast<void>(::sendto(descriptor, message.data(), message.size(), MSG_NOSIGNAL,
                             reinterpret_cast<const sockaddr*>(&address), length));
  ::close(descriptor);
}

}  // namespace ktrdr
