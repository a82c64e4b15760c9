#include "ktrdr/http/server.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <exception>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "admission.h"
#include "ktrdr/core/check.h"
#include "ktrdr/core/log.h"
#include "session.h"

namespace ktrdr::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Connections over the limit that may be told so at one time; those beyond are closed without a word.
constexpr std::size_t kRefusedConnections = 64;

// Out of file descriptors, accepting fails at once, again and again: this keeps that from eating a core.
constexpr std::chrono::milliseconds kPauseAfterFailedAccept{100};

Result<asio::ip::address> parse_address(const std::string& text) {
  error_code failure;
  const auto address = asio::ip::make_address(text == "localhost" ? "127.0.0.1" : text, failure);
  if (failure) {
    return Error(ErrorCode::kInvalidArgument,
                 "The address to listen on must be an IP address of this machine, such as 127.0.0.1.");
  }
  return address;
}

Result<void> check_token(const std::optional<std::string>& token, const asio::ip::address& address) {
  if (token && token->empty()) return Error(ErrorCode::kInvalidArgument, "The token must not be empty.");
  if (!token && !address.is_loopback()) {
    return Error(ErrorCode::kForbidden,
                 "Without a token the server only listens on a loopback address: leave out "
                 "--no-auth, or listen on 127.0.0.1.");
  }
  return {};
}

Error listen_error(error_code failure, const tcp::endpoint& endpoint) {
  const std::string port = "port " + std::to_string(endpoint.port());
  if (failure == asio::error::address_in_use) {
    return {ErrorCode::kConflict,
            "The " + port +
                " is already in use by another program: stop it, or choose another port with --port."};
  }
  if (failure == asio::error::access_denied) {
    return {ErrorCode::kForbidden,
            "This user may not listen on " + port + ": choose one above 1023 with --port."};
  }
  if (failure == boost::system::errc::address_not_available) {
    return {ErrorCode::kInvalidArgument, "This machine does not have the address " +
                                             endpoint.address().to_string() + ": listen on one that it has."};
  }
  return {ErrorCode::kIo, "Cannot listen on " + port + ": " + failure.message() + "."};
}

Result<tcp::acceptor> listen(asio::io_context& io, const tcp::endpoint& endpoint) {
  tcp::acceptor acceptor(io);
  error_code failure;
  acceptor.open(endpoint.protocol(), failure);
  if (!failure) acceptor.set_option(tcp::acceptor::reuse_address(true), failure);
  if (!failure) acceptor.bind(endpoint, failure);
  if (!failure) acceptor.listen(asio::socket_base::max_listen_connections, failure);
  if (failure) return listen_error(failure, endpoint);
  return acceptor;
}

std::vector<std::string> allowed_hosts(const ServerOptions& options, const asio::ip::address& address) {
  std::vector<std::string> hosts = options.extra_allowed_hosts;
  hosts.insert(hosts.end(), {"127.0.0.1", "localhost", "[::1]"});
  const std::string text = address.to_string();
  if (!address.is_unspecified()) hosts.push_back(address.is_v6() ? "[" + text + "]" : text);
  return hosts;
}

AdmissionRules rules_of(const ServerOptions& options, const asio::ip::address& address) {
  return {.token = options.token,
          .allowed_hosts = allowed_hosts(options, address),
          .target_bytes = options.limits.target_bytes,
          .header_bytes = options.limits.header_bytes,
          .body_bytes = options.limits.body_bytes};
}

void call(const Handler& handler, const Request& request, Responder responder) {
  if (const auto* parked = std::get_if<ParkedHandler>(&handler))
    return (*parked)(request, std::move(responder));
  responder.respond(std::get<SynchronousHandler>(handler)(request));
}

// A handler that throws is a bug, but one request's bug must not end everybody's training: its client gets
// 500 from the Responder that is destroyed unanswered.
void call_safely(const Route& route, const Request& request, Responder responder) {
  try {
    call(route.handler, request, std::move(responder));
  } catch (const std::exception& exception) {
    log(LogLevel::kError, "A request handler threw. This is a bug.",
        {{"route", route.pattern},
         {"method", std::string(to_string(route.method))},
         {"what", exception.what()}});
  } catch (...) {
    log(LogLevel::kError, "A request handler threw something unknown. This is a bug.",
        {{"route", route.pattern}});
  }
}

}  // namespace

class Server::Implementation final : public SessionHost {
 public:
  Implementation(const ServerOptions& options, const asio::ip::address& address, Router router)
      : limits_(options.limits),
        observer_(options.observer),
        router_(std::move(router)),
        admission_(rules_of(options, address), router_),
        acceptor_(io_),
        timer_(io_),
        handlers_(options.worker_threads) {}

  ~Implementation() override { stop(); }

  Result<void> start(const tcp::endpoint& endpoint) {
    TRY_ASSIGN(acceptor_, listen(io_, endpoint));
    port_ = acceptor_.local_endpoint().port();
    accept();
    io_thread_ = std::jthread([this] { run(); });
    return {};
  }

  std::uint16_t port() const { return port_; }

  void stop() {
    std::call_once(stopped_, [this] {
      asio::post(io_, [this] { begin_to_stop(); });
      if (io_thread_.joinable()) io_thread_.join();
      handlers_.stop();  // drops what no thread has begun
      handlers_.join();
    });
  }

  const Admission& admission() const override { return admission_; }
  const Limits& limits() const override { return limits_; }
  bool is_stopping() const override { return is_stopping_; }
  void answered(const Answered& answer) const override {
    if (observer_) observer_(answer);
  }

  // No queue of its own to bound: a connection has one request at a time, and connections are bounded.
  void run_handler(const Route& route, Request request, std::shared_ptr<AnswerSlot> slot) override {
    asio::post(handlers_, [&route, request = std::move(request), slot = std::move(slot)] {
      call_safely(route, request, Responder(slot));
    });
  }

  void session_ended(Session* session) override {
    sessions_.erase(session);
    finish_if_stopped();
  }

 private:
  // Whatever escapes ends the connection it came from (nothing refers to it any more), never the server.
  void run() {
    for (;;) {
      try {
        io_.run();
        return;
      } catch (const std::exception& exception) {
        log(LogLevel::kError, "A connection was dropped by an exception. This is a bug, or memory is short.",
            {{"what", exception.what()}});
      }
    }
  }

  void accept() {
    acceptor_.async_accept([this](error_code failure, tcp::socket socket) {
      if (is_stopping_) return;
      if (failure) return accept_later(failure);
      begin_session(std::move(socket));
      accept();
    });
  }

  void accept_later(error_code failure) {
    if (failure != asio::error::connection_aborted) {
      log(LogLevel::kWarning, "Cannot accept a connection; trying again.", {{"error", failure.message()}});
    }
    timer_.expires_after(kPauseAfterFailedAccept);
    timer_.async_wait([this](error_code cancelled) {
      if (!cancelled && !is_stopping_) accept();
    });
  }

  void begin_session(tcp::socket socket) {
    const bool is_full = sessions_.size() >= limits_.connections;
    if (sessions_.size() >= limits_.connections + kRefusedConnections) return;
    const auto session = std::make_shared<Session>(*this, std::move(socket));
    sessions_.emplace(session.get(), session);
    is_full ? session->start_refused(kTooManyConnections) : session->start();
  }

  void begin_to_stop() {
    is_stopping_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    for (const auto& session : living_sessions()) session->server_is_stopping();
    timer_.expires_after(limits_.stop_timeout);
    timer_.async_wait([this](error_code cancelled) {
      if (cancelled) return;
      for (const auto& session : living_sessions()) session->abort();
    });
    finish_if_stopped();
  }

  void finish_if_stopped() {
    if (!is_stopping_ || !sessions_.empty()) return;
    timer_.cancel();
    keep_running_.reset();
  }

  // Held while they are walked over: closing one would otherwise change the map.
  std::vector<std::shared_ptr<Session>> living_sessions() const {
    std::vector<std::shared_ptr<Session>> sessions;
    for (const auto& [address, session] : sessions_) {
      if (auto living = session.lock()) sessions.push_back(std::move(living));
    }
    return sessions;
  }

  const Limits limits_;
  const Observer observer_;
  const Router router_;
  const Admission admission_;
  std::uint16_t port_ = 0;
  std::once_flag stopped_;

  // Used on the io thread only. The sessions outlive neither the map nor the host: io_, declared after them,
  // destroys what is left of their operations first.
  std::unordered_map<Session*, std::weak_ptr<Session>> sessions_;
  bool is_stopping_ = false;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> keep_running_{io_.get_executor()};
  tcp::acceptor acceptor_;
  asio::steady_timer timer_;  // pause after a failed accept; after that the bound of stop()

  asio::thread_pool handlers_;
  std::jthread io_thread_;
};

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Router router) {
  CHECK(options.worker_threads > 0, "a server needs a thread for its handlers");
  TRY_ASSIGN(const asio::ip::address address, parse_address(options.address));
  TRY(check_token(options.token, address));
  auto implementation = std::make_unique<Implementation>(options, address, std::move(router));
  TRY(implementation->start({address, options.port}));
  return std::unique_ptr<Server>(new Server(std::move(implementation)));
}

Server::Server(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
Server::~Server() = default;
std::uint16_t Server::port() const { return implementation_->port(); }
void Server::stop() { implementation_->stop(); }

}  // namespace ktrdr::http
