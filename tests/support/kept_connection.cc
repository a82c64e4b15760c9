#include "support/kept_connection.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <regex>

#include "support/conformance.h"

namespace ktrdr::system_test {
namespace {

constexpr timeval kSilence{.tv_sec = 30, .tv_usec = 0};  // the other program's own limit

int number_in(const std::string& head, const char* pattern) {
  std::smatch found;
  const std::regex expression(pattern, std::regex::icase);
  return std::regex_search(head, found, expression) ? std::stoi(found[1]) : 0;
}

}  // namespace

KeptConnection::KeptConnection(int port)
    : port_(port), socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int at_once = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once));
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &kSilence, sizeof(kSilence));
  EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
}

KeptConnection::~KeptConnection() { ::close(socket_); }

KeptAnswer KeptConnection::exchange(const std::string& head, const std::string& body) {
  if (!send_all(head) || !send_all(body)) return {};
  std::size_t end = std::string::npos;
  while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
    if (!read_more()) return {};
  }
  KeptAnswer answer{.head = received_.substr(0, end + 2)};
  const std::size_t begin = end + 4;
  const auto size = static_cast<std::size_t>(number_in(answer.head, "\r\ncontent-length: *([0-9]+)\r\n"));
  if (!read_until(begin + size)) return {};
  answer.status = number_in(answer.head, "^HTTP/1\\.[01] ([0-9]{3}) ");
  const std::string text = received_.substr(begin, size);
  check_answer(port_, head, body, answer.status, text);
  answer.body = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  received_.erase(0, begin + size);
  return answer;
}

bool KeptConnection::send_all(const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t count = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += static_cast<std::size_t>(count);
  }
  return true;
}

bool KeptConnection::read_until(std::size_t size) {
  while (received_.size() < size) {
    if (!read_more()) return false;
  }
  return true;
}

bool KeptConnection::read_more() {
  char block[16384];
  const ssize_t count = ::recv(socket_, block, sizeof(block), 0);
  if (count <= 0) return false;
  received_.append(block, static_cast<std::size_t>(count));
  return true;
}

}  // namespace ktrdr::system_test
