#include "ktrdr/client/testing/stream_reader.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "ktrdr/core/check.h"

namespace ktrdr::client::testing {
namespace {

constexpr int kPatienceMs = 10'000;

}  // namespace

StreamReader::StreamReader(const std::string& url, const OperationId& id, const std::string& query,
                           const std::string& headers)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1))));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
        "the server listens");
  const std::string request = "GET /api/v1/operations/" + id.value + "/events/stream" + query +
                              " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
  CHECK(::send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(request.size()),
        "a short request is sent at once");
  while (received_.find("\r\n\r\n") == std::string::npos && receive()) continue;
}

std::vector<std::string> StreamReader::events(std::size_t count) {
  while (lines().size() < count && receive()) continue;
  return lines();
}

std::vector<std::string> StreamReader::lines() const {
  std::vector<std::string> events;
  for (std::size_t at = received_.find("event: "); at != std::string::npos;
       at = received_.find("event: ", at + 1)) {
    if (received_.find("\n\n", at) == std::string::npos) break;
    const std::string kind = received_.substr(at + 7, received_.find('\n', at) - at - 7);
    const auto id = received_.rfind("id: ", at);
    const bool is_event = kind != "end";
    events.push_back(is_event ? kind + " " + received_.substr(id + 4, at - id - 5) : kind);
  }
  return events;
}

bool StreamReader::receive() {
  pollfd waiting{socket_.get(), POLLIN, 0};
  if (::poll(&waiting, 1, kPatienceMs) == 0) return false;
  char bytes[4096];
  const ssize_t count = ::recv(socket_.get(), bytes, sizeof bytes, 0);
  if (count <= 0) return false;
  received_.append(bytes, static_cast<std::size_t>(count));
  return true;
}

}  // namespace ktrdr::client::testing
