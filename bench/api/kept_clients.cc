#include "kept_clients.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <span>
#include <string_view>
#include <utility>

namespace ktrdr::bench {
namespace {

constexpr int kLongestSilenceMs = 30'000;

// Where the number behind `name` stands; both spellings are in use.
std::size_t content_length(std::string_view head) {
  for (const std::string_view name : {"Content-Length: ", "content-length: "}) {
    if (const auto at = head.find(name); at != std::string_view::npos) {
      return static_cast<std::size_t>(std::atol(head.data() + at + name.size()));
    }
  }
  return 0;
}

}  // namespace

std::string get_request(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
}

std::string post_request(const std::string& path) {
  return "POST " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n";
}

KeptClients::KeptClients(const std::vector<int>& ports, std::size_t clients)
    : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  CHECK(epoll_ >= 0, "the system has an epoll for us");
  for (std::size_t i = 0; i < clients; ++i) connect_to(ports[i % ports.size()]);
}

KeptClients::~KeptClients() {
  for (const Client& client : clients_) close(client.socket);
  close(epoll_);
}

void KeptClients::connect_to(int port) {
  Client client{.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(connect(client.socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0,
        "the server listens");
  const int at_once = 1;
  setsockopt(client.socket, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once));
  epoll_event event{.events = EPOLLIN, .data = {.u64 = clients_.size()}};
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, client.socket, &event) == 0, "a socket can be watched");
  clients_.push_back(std::move(client));
}

void KeptClients::run(const Next& next, const Answered& answered) {
  std::size_t awaited = 0;
  for (std::size_t i = 0; i < clients_.size(); ++i) awaited += send_next(i, next) ? 1U : 0U;
  std::array<epoll_event, 64> events;
  while (awaited > 0) {
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), kLongestSilenceMs);
    CHECK(count > 0, "the server answers within its own time limits");
    for (const epoll_event& event : std::span(events).first(static_cast<std::size_t>(count))) {
      const std::size_t i = event.data.u64;
      const auto answer = read_answer(clients_[i]);
      if (!answer) continue;
      answered(i, *answer);
      if (answer->status == 0 || !send_next(i, next)) --awaited;
    }
  }
}

bool KeptClients::send_next(std::size_t client, const Next& next) {
  const auto request = next(client);
  if (!request) return false;
  clients_[client].sent_at = Stopwatch::now();
  const ssize_t sent = send(clients_[client].socket, request->data(), request->size(), MSG_NOSIGNAL);
  CHECK(sent == static_cast<ssize_t>(request->size()), "a socket that waits takes a small request at once");
  return true;
}

// Nothing as long as it is not whole.
std::optional<Answer> KeptClients::read_answer(Client& client) {
  std::array<char, 65536> bytes;
  const ssize_t count = recv(client.socket, bytes.data(), bytes.size(), 0);
  if (count <= 0) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, client.socket, nullptr);
    return Answer{};
  }
  client.received.append(bytes.data(), static_cast<std::size_t>(count));
  const auto end = client.received.find("\r\n\r\n");
  if (end == std::string::npos) return std::nullopt;
  const std::size_t body = end + 4, size = content_length(std::string_view(client.received).substr(0, body));
  if (client.received.size() < body + size) return std::nullopt;
  Answer answer{.status = std::atoi(client.received.c_str() + std::string_view("HTTP/1.1 ").size()),
                .seconds = seconds_since(client.sent_at),
                .body = client.received.substr(body)};
  client.received.clear();
  return answer;
}

Answer ask(int port, const std::string& request) {
  KeptClients client({port}, 1);
  Answer given;
  bool asked = false;
  client.run([&](std::size_t) { return std::exchange(asked, true) ? std::nullopt : std::optional(request); },
             [&](std::size_t, const Answer& answer) { given = answer; });
  return given;
}

}  // namespace ktrdr::bench
