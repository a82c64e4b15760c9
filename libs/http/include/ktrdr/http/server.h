// The HTTP/1.1 server: one thread for all sockets, a small pool for the handlers.
//
// What a request meets, in this order and on every method: the parser and its limits (400, 408, 413, 414,
// 431), Transfer-Encoding and Content-Length (400), Host (400, 403), Origin (403), the router (404, 405), the
// token (401), the content type (415), 100-continue, and UTF-8 of the body (400). Only then a handler runs.
// Every refusal has the error body of error_mapping.h, says nothing of what was sent, and reaches the client:
// the connection is then closed, and if the request was not read to its end, half-closed and drained before
// that. After an answer of a handler it stays open.
//
// HEAD is answered like GET, without the body. Absolute-form targets ("GET http://host/path") are refused
// with 400.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/core/result.h"
#include "ktrdr/http/router.h"

namespace ktrdr::http {

struct Limits {
  std::size_t target_bytes = 8 * 1024;       // path and query: 414
  std::size_t header_bytes = 16 * 1024;      // all header fields together: 431
  std::size_t body_bytes = 4 * 1024 * 1024;  // 413
  std::size_t connections = 1024;            // one more is answered with 503
  std::chrono::milliseconds header_timeout{
      10'000};  // from the first byte (or the connect) to the empty line: 408
  std::chrono::milliseconds body_timeout{30'000};   // to receive a body (408), and to send an answer
  std::chrono::milliseconds idle_timeout{30'000};   // between two requests of a connection
  std::chrono::milliseconds linger_timeout{2'000};  // to drain a request that was refused unread
  std::chrono::milliseconds stop_timeout{5'000};    // what stop() gives to requests in flight
};

// An answer on its way out, as whoever counts them sees it.
struct Answered {
  const Route* route = nullptr;  // null: refused before there was one, or by the token that its route needs
  int status = 0;
  std::chrono::nanoseconds took{0};  // from the request's first byte until the answer was there to be sent
};

// Called on the thread of all sockets, for every answer: it must be quick and must not throw.
using Observer = std::function<void(const Answered&)>;

struct ServerOptions {
  std::string address = "127.0.0.1";  // an IP address, or "localhost"
  std::uint16_t port = 0;             // 0: any free one, see Server::port()
  std::optional<std::string> token;   // none is --no-auth: only on a loopback address
  std::vector<std::string>
      extra_allowed_hosts;  // beside 127.0.0.1, localhost, [::1] and `address`; without port
  Limits limits;
  std::size_t worker_threads = 4;
  Observer observer;  // may be empty
};

// Owned by main() or a test. All methods are safe to call from any thread but the handlers'.
class Server {
 public:
  // kConflict: the port is taken. kForbidden: no token on an address that others can reach. kInvalidArgument:
  // no such address, an empty token. kIo: the system refused the socket.
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Router router);

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();  // stops

  std::uint16_t port() const;

  // Stops accepting, answers parked requests with 503, lets running handlers finish and their answers go out
  // for `stop_timeout`, then closes what is left. Returns when all threads have ended, so it also waits for a
  // handler that runs longer than that. May be called twice.
  void stop();

 private:
  class Implementation;
  explicit Server(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace ktrdr::http
