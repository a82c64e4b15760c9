#include "support/fault_proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "ktrdr/core/check.h"

namespace ktrdr::system_test {
namespace {

constexpr std::size_t kMostInFlight = 256 * 1024;
constexpr std::size_t kPiece = 16 * 1024;
constexpr Duration kIdle = std::chrono::milliseconds(1000);

sockaddr_in at(const std::string& host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  CHECK(::inet_pton(AF_INET, host.c_str(), &address.sin_addr) == 1, "a test knows an address");
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

template <class Address>
const sockaddr* plain(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

int connect_to_port(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = at("127.0.0.1", port);
  if (port != 0 && ::connect(socket, plain(address), sizeof address) == 0) return socket;
  ::close(socket);
  return -1;
}

int connect_to_file(const std::filesystem::path& file) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  CHECK(file.string().size() < sizeof address.sun_path, "a socket's path is short");
  std::strcpy(address.sun_path, file.c_str());
  ::fcntl(socket, F_SETFL, O_NONBLOCK);  // a frozen peer with a full queue must not hold this thread
  if (::connect(socket, plain(address), sizeof address) == 0) return socket;
  ::close(socket);
  return -1;
}

void close_with_reset(int socket) {
  const linger at_once{1, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(socket);
}

void prepare(int socket) {
  const int on = 1;
  ::fcntl(socket, F_SETFL, O_NONBLOCK);
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // fails for a socket in a file: no harm
}

}  // namespace

// Bytes on their way from one socket to the other.
struct FaultProxy::Connection {
  struct Piece {
    Duration due;
    std::string bytes;  // empty: the end
  };
  struct Way {
    int from = -1, to = -1;
    std::deque<Piece> pieces;
    std::size_t in_flight = 0;
    bool source_ended = false, sink_ended = false;

    bool wants_to_read() const { return !source_ended && in_flight < kMostInFlight; }
    bool is_due(Duration now) const { return !pieces.empty() && pieces.front().due <= now; }

    // False when the connection broke.
    bool read(Duration due, std::string* seen) {
      char buffer[kPiece];
      while (wants_to_read()) {
        const ssize_t count = ::recv(from, buffer, sizeof buffer, 0);
        if (count < 0) return errno == EAGAIN || errno == EINTR;
        source_ended = count == 0;
        pieces.push_back({due, std::string(buffer, static_cast<std::size_t>(count))});
        in_flight += static_cast<std::size_t>(count);
        if (seen != nullptr) seen->append(buffer, static_cast<std::size_t>(count));
      }
      return true;
    }
    bool write(Duration now) {
      while (is_due(now)) {
        std::string& bytes = pieces.front().bytes;
        if (bytes.empty()) {
          ::shutdown(to, SHUT_WR);
          sink_ended = true;
        } else {
          const ssize_t count = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
          if (count < 0) return errno == EAGAIN || errno == EINTR;
          in_flight -= static_cast<std::size_t>(count);
          bytes.erase(0, static_cast<std::size_t>(count));
          if (!bytes.empty()) return true;
        }
        pieces.pop_front();
      }
      return true;
    }
  };

  Connection(int near_socket, int far_socket)
      : near(near_socket), far(far_socket), there{.from = near, .to = far}, back{.from = far, .to = near} {}
  ~Connection() {
    if (near >= 0) ::close(near);
    if (far >= 0) ::close(far);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void cut() {
    close_with_reset(std::exchange(near, -1));
    close_with_reset(std::exchange(far, -1));
    broken = true;
  }
  bool is_over() const { return broken || (there.sink_ended && back.sink_ended); }

  int near, far;
  Way there, back;
  bool broken = false;
  std::string unread_answers;  // what was not searched yet
};

FaultProxy::FaultProxy(std::string host) : host_(std::move(host)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address = at(host_, 0);
  socklen_t size = sizeof address;
  CHECK(::bind(listener_, plain(address), size) == 0 && ::listen(listener_, 128) == 0,
        "a test may listen on this machine");
  CHECK(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "it has an address");
  port_ = ntohs(address.sin_port);
  int pipe_ends[2];
  CHECK(::pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) == 0, "a test may have a pipe");
  wake_read_ = pipe_ends[0];
  wake_write_ = pipe_ends[1];
  thread_ = std::jthread([this](std::stop_token stop) { serve(stop); });
}

FaultProxy::~FaultProxy() {
  thread_.request_stop();
  wake();
  thread_.join();
  for (const int socket : {listener_, wake_read_, wake_write_}) ::close(socket);
}

void FaultProxy::forward_to(int port) {
  orders_.update([&](Orders& orders) { orders.port = port; });
}

void FaultProxy::forward_to(const std::filesystem::path& socket) {
  orders_.update([&](Orders& orders) { orders.socket = socket; });
}

void FaultProxy::set_mode(LinkMode mode, Duration delay) {
  orders_.update([&](Orders& orders) {
    orders.mode = mode;
    orders.delay = delay;
  });
  wake();
}

void FaultProxy::reset_once() {
  orders_.update([](Orders& orders) { orders.reset_once = true; });
  wake();
}

void FaultProxy::count_answers_with(const std::string& needle) {
  orders_.update([&](Orders& orders) { orders.needle = needle; });
}

void FaultProxy::wake() {
  const char byte = 0;
  [[maybe_unused]] const ssize_t ignored = ::write(wake_write_, &byte, 1);  // full: it wakes up anyway
}

// ---- the thread ----

void FaultProxy::serve(std::stop_token stop) {
  while (!stop.stop_requested()) {
    const Orders orders = *orders_.lock();
    obey(orders);
    if (orders.mode != LinkMode::kBlackhole) move_bytes(orders);
    std::erase_if(connections_, [](const auto& connection) { return connection->is_over(); });
    wait_for_something(orders);
  }
  connections_.clear();
}

void FaultProxy::obey(const Orders& orders) {
  if (orders.mode == LinkMode::kReset || orders.reset_once) {
    for (const auto& connection : connections_) connection->cut();
    connections_.clear();
    orders_.update([](Orders& now) { now.reset_once = false; });
  }
  accept_new(orders);
}

// While nothing gets through they wait in the listener's queue, as a partner behind a broken cable does.
void FaultProxy::accept_new(const Orders& orders) {
  if (orders.mode == LinkMode::kBlackhole) return;
  for (int near = 0; (near = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
    const int far = orders.mode == LinkMode::kReset ? -1
                    : orders.socket.empty()         ? connect_to_port(orders.port)
                                                    : connect_to_file(orders.socket);
    if (far < 0) {
      close_with_reset(near);
      continue;
    }
    prepare(near);
    prepare(far);
    connections_.push_back(std::make_unique<Connection>(near, far));
  }
}

void FaultProxy::wait_for_something(const Orders& orders) {
  std::vector<pollfd> sockets = {{wake_read_, POLLIN, 0}};
  Duration wake_at = clock_.monotonic() + kIdle;
  if (orders.mode != LinkMode::kBlackhole) {
    sockets.push_back({listener_, POLLIN, 0});
    const Duration now = clock_.monotonic();
    for (const auto& connection : connections_) {
      for (const auto* way : {&connection->there, &connection->back}) {
        if (way->wants_to_read()) sockets.push_back({way->from, POLLIN, 0});
        if (way->is_due(now)) sockets.push_back({way->to, POLLOUT, 0});
        else if (!way->pieces.empty()) wake_at = std::min(wake_at, way->pieces.front().due);
      }
    }
  }
  const auto timeout = std::max<Duration::rep>(0, (wake_at - clock_.monotonic()).count());
  ::poll(sockets.data(), sockets.size(), static_cast<int>(timeout));
  char drained[64];
  while (::read(wake_read_, drained, sizeof drained) > 0) {
  }
}

void FaultProxy::move_bytes(const Orders& orders) {
  const Duration now = clock_.monotonic();
  const Duration due = orders.mode == LinkMode::kDelay ? now + orders.delay : now;
  for (const auto& connection : connections_) {
    std::string* const seen = orders.needle.empty() ? nullptr : &connection->unread_answers;
    const bool alive = connection->there.read(due, nullptr) && connection->back.read(due, seen) &&
                       connection->there.write(now) && connection->back.write(now);
    if (!alive) connection->cut();
    if (seen == nullptr) continue;
    for (std::size_t at = 0; (at = seen->find(orders.needle, at)) != std::string::npos;
         at += orders.needle.size())
      ++counted_;
    // A needle may lie across two pieces; it can't be in what is shorter than itself.
    const std::size_t keep = std::min(seen->size(), orders.needle.size() - 1);
    seen->erase(0, seen->size() - keep);
  }
}

}  // namespace ktrdr::system_test
