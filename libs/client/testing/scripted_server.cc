#include "ktrdr/client/testing/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

namespace ktrdr::client::testing {
namespace {

FileDescriptor bound_socket(std::uint16_t port) {
  FileDescriptor socket_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(socket_fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int bound = bind(socket_fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  CHECK(bound == 0, "a test server can bind its port");
  return socket_fd;
}

std::uint16_t port_of(const FileDescriptor& socket_fd) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  getsockname(socket_fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

// Reads from a connection until `enough` bytes are in `buffer` or, without it, until `end` is.
bool read_until(int fd, std::string& buffer, std::string_view end, std::size_t enough) {
  char bytes[4096];
  while (end.empty() ? buffer.size() < enough : buffer.find(end) == std::string::npos) {
    const ssize_t count = recv(fd, bytes, sizeof bytes, 0);
    if (count <= 0) return false;
    buffer.append(bytes, static_cast<std::size_t>(count));
  }
  return true;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

SeenRequest parse_head(const std::string& head) {
  SeenRequest request;
  const std::size_t first = head.find(' ');
  request.method = head.substr(0, first);
  request.target = head.substr(first + 1, head.find(' ', first + 1) - first - 1);
  for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
    const std::size_t end = std::min(head.find("\r\n", at), head.size());
    const std::size_t colon = head.find(": ", at);
    if (colon < end)
      request.headers[lower(head.substr(at, colon - at))] = head.substr(colon + 2, end - colon - 2);
    at = end + 2;
  }
  return request;
}

std::optional<SeenRequest> receive_request(int fd, std::string& buffer) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  if (!read_until(fd, buffer, kEnd, 0)) return std::nullopt;
  const std::size_t end = buffer.find(kEnd);
  SeenRequest request = parse_head(buffer.substr(0, end));
  buffer.erase(0, end + kEnd.size());
  const auto length = request.headers.find("content-length");
  const std::size_t body_size = length == request.headers.end() ? 0 : std::stoul(length->second);
  if (!read_until(fd, buffer, "", body_size)) return std::nullopt;
  request.body = buffer.substr(0, body_size);
  buffer.erase(0, body_size);
  return request;
}

bool send_answer(int fd, const ScriptedAnswer& answer) {
  std::string text =
      "HTTP/1.1 " + std::to_string(answer.status) + " Scripted\r\nContent-Type: application/json\r\n";
  for (const std::string& line : answer.header_lines) text += line + "\r\n";
  text += "Content-Length: " + std::to_string(answer.body.size()) + "\r\n\r\n" + answer.body;
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t count = send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += static_cast<std::size_t>(count);
  }
  return true;
}

}  // namespace

ScriptedServer::ScriptedServer() : listener_(bound_socket(0)) {
  port_ = port_of(listener_);
  int ends[2];
  CHECK(pipe(ends) == 0, "a test can open a pipe");
  wake_reader_ = FileDescriptor(ends[0]);
  wake_writer_ = FileDescriptor(ends[1]);
  listen_again();
}

ScriptedServer::~ScriptedServer() { go_down(); }

std::string ScriptedServer::url() const { return "http://127.0.0.1:" + std::to_string(port_); }

void ScriptedServer::answer(const std::string& request, ScriptedAnswer answer) {
  script_.lock()->answers[request].push_back(std::move(answer));
}

std::vector<SeenRequest> ScriptedServer::requests() { return script_.lock()->seen; }

std::vector<SeenRequest> ScriptedServer::requests(const std::string& start) {
  std::vector<SeenRequest> found = requests();
  std::erase_if(found, [&start](const SeenRequest& request) {
    return !(request.method + " " + request.target).starts_with(start);
  });
  return found;
}

void ScriptedServer::go_down() {
  if (!acceptor_.joinable()) return;
  CHECK(write(wake_writer_.get(), "x", 1) == 1, "the acceptor can be woken");
  acceptor_.join();
  char woken = 0;
  CHECK(read(wake_reader_.get(), &woken, 1) == 1, "the wake-up is still in the pipe");
  for (const int fd : *open_connections_.lock()) shutdown(fd, SHUT_RDWR);
  talkers_.clear();  // joins
  listener_.close();
  listener_ =
      bound_socket(port_);  // bound but not listening: connections are refused and the port stays ours
}

void ScriptedServer::come_back() { listen_again(); }

void ScriptedServer::listen_again() {
  CHECK(listen(listener_.get(), 16) == 0, "a test server can listen");
  acceptor_ = std::jthread([this] { accept_connections(); });
}

void ScriptedServer::accept_connections() {
  for (;;) {
    pollfd waiting[] = {{wake_reader_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    if (poll(waiting, 2, -1) < 0) continue;
    if (waiting[0].revents != 0) return;
    const int fd = accept(listener_.get(), nullptr, nullptr);
    if (fd < 0) continue;
    open_connections_.lock()->push_back(fd);
    talkers_.emplace_back([this, fd, number = ++connections_] { talk(fd, number); });
  }
}

void ScriptedServer::talk(int connection_fd, int number) {
  std::string buffer;
  while (auto request = receive_request(connection_fd, buffer)) {
    request->connection = number;
    script_.lock()->seen.push_back(*request);
    const ScriptedAnswer answer = next_answer(*request);
    if (answer.hang_up || !send_answer(connection_fd, answer)) break;
  }
  auto open = open_connections_.lock();  // closed under the lock: go_down() must not meet a recycled number
  std::erase(*open, connection_fd);
  close(connection_fd);
}

ScriptedAnswer ScriptedServer::next_answer(const SeenRequest& request) {
  const std::string exact = request.method + " " + request.target;
  auto script = script_.lock();
  auto found = script->answers.find(exact);
  if (found == script->answers.end()) found = script->answers.find(exact.substr(0, exact.find('?')));
  if (found == script->answers.end()) {
    return {404,
            R"({"success":false,"detail":"Nothing is scripted for this.","error":{"code":"NO_SUCH_ROUTE"}})"};
  }
  ScriptedAnswer answer = found->second.front();
  if (found->second.size() > 1) found->second.pop_front();
  return answer;
}

}  // namespace ktrdr::client::testing
