#include "session.h"

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <cstdio>
#include <string_view>
#include <utility>

#include "ktrdr/core/log.h"
#include "text.h"

namespace ktrdr::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using std::chrono::milliseconds;

// More than any head that is accepted, so that a request line or header that is too large can be told from
// the limit.
constexpr std::size_t kSlackBytes = 1024;

// Bounds what an endless chunk extension or trailer can make us keep.
constexpr std::size_t kBodyBufferBytes = 64 * 1024;

constexpr std::size_t kFirstReadBytes = 2048;
constexpr std::size_t kDrainBytes = 16 * 1024;

// A cancelled socket operation of several steps may start one more step, so a deadline cancels again until it
// ends.
constexpr milliseconds kCancelAgain{20};

std::string address_of(const asio::ip::tcp::socket& socket) {
  error_code ignored;
  const auto peer = socket.remote_endpoint(ignored);
  return ignored ? std::string() : peer.address().to_string();
}

bool is_sendable(const Response& response) {
  if (response.status < 200 || response.status > 599 || has_control_characters(response.content_type))
    return false;
  for (const auto& [name, value] : response.headers) {
    if (name.empty() || name.find_first_of(" :") != std::string::npos) return false;
    if (has_control_characters(name) || has_control_characters(value)) return false;
  }
  return true;
}

std::size_t largest_head(const Limits& limits) {
  return limits.target_bytes + limits.header_bytes + kSlackBytes;
}

bool has_no_body(int status) { return status == 204 || status == 304; }

using BeastResponse = beast::http::response<beast::http::string_body>;

template <class Message>
void set_head(Message& message, const Response& response, unsigned version) {
  message.version(version);
  message.result(static_cast<unsigned>(response.status));
  if (!has_no_body(response.status)) message.set(beast::http::field::content_type, response.content_type);
  message.set("X-Content-Type-Options", "nosniff");
  message.set(beast::http::field::cache_control, "no-store");
  for (const auto& [name, value] : response.headers) message.set(name, value);
}

BeastResponse to_beast(Response response, unsigned version, bool is_head) {
  BeastResponse message;
  set_head(message, response, version);
  if (has_no_body(response.status)) return message;
  message.content_length(response.body.size());
  if (!is_head) message.body() = std::move(response.body);
  return message;
}

// HTTP/1.0 has no chunks: there the end of the connection is the end of the body.
std::string chunk_of(const std::string& bytes, bool is_last, bool is_http_1_0) {
  if (is_http_1_0) return bytes;
  char size[24];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  std::string chunk = bytes.empty() ? "" : size + bytes + "\r\n";
  return is_last ? chunk + "0\r\n\r\n" : chunk;
}

}  // namespace

Session::Session(SessionHost& host, asio::ip::tcp::socket socket)
    : host_(host),
      socket_(std::move(socket)),
      remote_address_(address_of(socket_)),
      deadline_(socket_.get_executor()),
      buffer_(largest_head(host.limits()) + kBodyBufferBytes) {}

Session::~Session() {
  if (stream_) stream_->body->close();
  host_.session_ended(this);
}

void Session::start() {
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  wait_for_request(host_.limits().header_timeout);
}

void Session::start_refused(const Refusal& refusal) { answer_refusal(refusal); }

void Session::wait_for_request(milliseconds timeout) {
  if (host_.is_stopping()) return close();
  parser_.reset();
  if (buffer_.size() > 0) return read_head();  // pipelined: the next request is here already
  enter(Phase::kIdle, timeout);
  socket_.async_read_some(buffer_.prepare(kFirstReadBytes),
                          [self = shared_from_this()](error_code failure, std::size_t bytes) {
                            if (failure) return self->close();
                            self->buffer_.commit(bytes);
                            self->read_head();
                          });
}

void Session::read_head() {
  const Limits& limits = host_.limits();
  asked_ = std::chrono::steady_clock::now();
  route_ = nullptr;
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(largest_head(limits)));
  parser_->body_limit(boost::none);  // Admission judges Content-Length, after what is more important
  enter(Phase::kReadingHead, limits.header_timeout);
  beast::http::async_read_header(
      socket_, buffer_, *parser_,
      [self = shared_from_this()](error_code failure, std::size_t) { self->head_arrived(failure); });
}

void Session::head_arrived(error_code failure) {
  if (failure) return answer_failed_read(failure);
  admit();
}

void Session::admit() {
  std::variant<Admitted, Response> verdict = host_.admission().admit(take_head());
  if (auto* refusal = std::get_if<Response>(&verdict)) {
    // What follows a request that was refused may be its body: it must never be taken for the next request.
    must_close_ = true;
    return write(std::move(*refusal));
  }
  admitted_ = std::get<Admitted>(std::move(verdict));
  route_ = admitted_->route;
  if (parser_->is_done()) return dispatch();
  if (admitted_->expects_continue) return send_continue();
  read_body();
}

void Session::send_continue() {
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  enter(Phase::kWriting, host_.limits().body_timeout);
  asio::async_write(socket_, asio::buffer(kContinue.data(), kContinue.size()),
                    [self = shared_from_this()](error_code failure, std::size_t) {
                      if (failure) return self->close();
                      self->read_body();
                    });
}

void Session::read_body() {
  parser_->body_limit(host_.limits().body_bytes);
  enter(Phase::kReadingBody, host_.limits().body_timeout);
  beast::http::async_read(
      socket_, buffer_, *parser_,
      [self = shared_from_this()](error_code failure, std::size_t) { self->body_arrived(failure); });
}

void Session::body_arrived(error_code failure) {
  if (failure) return answer_failed_read(failure);
  dispatch();
}

void Session::dispatch() {
  Admitted admitted = *std::exchange(admitted_, std::nullopt);
  admitted.request.body = std::move(parser_->get().body());
  if (host_.is_stopping()) return answer_refusal(kStopping);
  if (!is_valid_utf8(admitted.request.body)) return answer_refusal(kBodyNotUtf8);

  phase_ = Phase::kHandling;
  is_parked_ = std::holds_alternative<ParkedHandler>(admitted.route->handler);
  deadline_.cancel();
  // The session is moved on, not copied: its last reference must go on the io thread.
  slot_ = std::make_shared<AnswerSlot>(
      [self = shared_from_this(), executor = socket_.get_executor()](Response response) mutable {
        asio::post(executor, [self = std::move(self), response = std::move(response)]() mutable {
          self->slot_.reset();
          self->write(std::move(response));
        });
      });
  host_.run_handler(*admitted.route, std::move(admitted.request), slot_);
}

void Session::answer_failed_read(error_code failure) {
  const std::optional<Refusal> refusal = refusal_of(failure);
  if (!refusal) return close();
  answer_refusal(*refusal);
}

// None when the client has gone: there is nobody to tell.
std::optional<Refusal> Session::refusal_of(error_code failure) const {
  using beast::http::error;
  if (timed_out_) return kTooSlow;
  if (failure == error::end_of_stream || failure == error::partial_message) return std::nullopt;
  if (failure == error::body_limit) return kBodyTooLarge;
  const bool has_request_line = !parser_->get().target().empty();
  if (failure == error::header_limit) return has_request_line ? kHeadersTooLarge : kTargetTooLong;
  const bool is_clients_fault =
      failure.category() == beast::http::make_error_code(error::bad_method).category();
  if (is_clients_fault) return kMalformed;
  return std::nullopt;
}

RequestHead Session::take_head() const {
  const auto& message = parser_->get();
  RequestHead head{.method = message.method_string(),
                   .target = message.target(),
                   .is_http_1_1 = message.version() == 11,
                   .headers = {},
                   .remote_address = remote_address_};
  for (const auto& field : message) head.headers.push_back({field.name_string(), field.value()});
  return head;
}

bool Session::may_keep_alive() const {
  return parser_ && parser_->is_done() && parser_->keep_alive() && !must_close_ && !host_.is_stopping();
}

void Session::write(Response response) {
  if (!socket_.is_open()) {
    if (response.stream) response.stream->close();
    return;
  }
  if (!is_sendable(response)) {
    log(LogLevel::kError,
        "A handler made a response that can't be sent. This is a bug; the client got status 500.");
    if (response.stream) response.stream->close();
    response = refuse(kHandlerFailed);
  }
  tell_observer(response.status);
  if (response.stream) return begin_stream(response);
  const bool is_head = parser_ && parser_->get().method() == beast::http::verb::head;
  const unsigned version = parser_ && parser_->get().version() == 10 ? 10 : 11;
  response_ = to_beast(std::move(response), version, is_head);
  response_->keep_alive(may_keep_alive());
  enter(Phase::kWriting, host_.limits().body_timeout);
  beast::http::async_write(socket_, *response_, [self = shared_from_this()](error_code failure, std::size_t) {
    self->written(failure);
  });
}

void Session::tell_observer(int status) const {
  host_.answered({.route = route_, .status = status, .took = std::chrono::steady_clock::now() - asked_});
}

// The head first; then whatever comes. Reading goes on meanwhile, only to notice that the client has gone.
void Session::begin_stream(const Response& response) {
  stream_.emplace();
  stream_->body = response.stream;
  const bool is_http_1_0 = parser_->get().version() == 10;
  set_head(stream_->head, response, is_http_1_0 ? 10 : 11);
  stream_->head.keep_alive(false);
  stream_->head.chunked(!is_http_1_0);
  stream_->serializer.emplace(stream_->head);
  enter(Phase::kStreaming, host_.limits().body_timeout);
  if (parser_->get().method() == beast::http::verb::head) stream_->body->close();
  if (host_.is_stopping()) stream_->body->end();
  beast::http::async_write_header(
      socket_, *stream_->serializer, [self = shared_from_this()](error_code failure, std::size_t) {
        if (failure) return self->close();
        if (self->parser_->get().method() == beast::http::verb::head) return self->end_stream();
        self->deadline_.cancel();
        self->drain();
        // Posted, for it comes from any thread; weak, for the session's last reference must go on this one.
        self->stream_->body->attach([weak = self->weak_from_this(), executor = self->socket_.get_executor()] {
          asio::post(executor, [weak] {
            if (const auto session = weak.lock()) session->send_stream();
          });
        });
      });
}

void Session::send_stream() {
  if (phase_ != Phase::kStreaming || !socket_.is_open() || stream_->is_writing) return;
  const BodyStream::Taken taken = stream_->body->take();
  if (taken.closed) {
    log(LogLevel::kInfo, "A reader of a stream was too slow; its connection is closed.");
    return close();
  }
  if (!taken.bytes.empty() || taken.ended) write_chunk(taken.bytes, taken.ended);
}

void Session::write_chunk(const std::string& bytes, bool is_last) {
  stream_->chunk = chunk_of(bytes, is_last, stream_->head.version() == 10);
  stream_->is_writing = true;
  arm_deadline(host_.limits().body_timeout);
  asio::async_write(socket_, asio::buffer(stream_->chunk),
                    [self = shared_from_this(), is_last](error_code failure, std::size_t) {
                      if (failure) return self->close();
                      self->stream_->is_writing = false;
                      if (is_last) return self->end_stream();
                      self->deadline_.cancel();
                      self->send_stream();
                    });
}

// What is read meanwhile is thrown away, so the drain goes on until the client has closed, or for a moment.
void Session::end_stream() {
  stream_->body->close();
  if (parser_->get().method() == beast::http::verb::head) return linger();
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  enter(Phase::kLingering, host_.limits().linger_timeout);
}

void Session::written(error_code failure) {
  if (failure) return close();
  const bool stays_open = response_->keep_alive();
  response_.reset();
  if (stays_open) return wait_for_request(host_.limits().idle_timeout);
  if (has_unread_input()) return linger();
  close();
}

bool Session::has_unread_input() const {
  error_code ignored;
  return !parser_ || !parser_->is_done() || buffer_.size() > 0 || socket_.available(ignored) > 0;
}

// Closing while the client still sends makes its system drop our answer before the client has read it (RST),
// so the rest is read and thrown away for a moment.
void Session::linger() {
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  enter(Phase::kLingering, host_.limits().linger_timeout);
  drain();
}

void Session::drain() {
  buffer_.clear();
  socket_.async_read_some(buffer_.prepare(kDrainBytes),
                          [self = shared_from_this()](error_code failure, std::size_t) {
                            if (failure) return self->close();
                            self->drain();
                          });
}

void Session::close() {
  error_code ignored;
  if (stream_) stream_->body->close();
  deadline_.cancel();
  socket_.close(ignored);
}

void Session::server_is_stopping() {
  if (phase_ == Phase::kIdle) return close();
  if (phase_ == Phase::kStreaming) return stream_->body->end();
  if (is_parked_ && slot_) std::shared_ptr(slot_)->answer(refuse(kStopping));
}

void Session::abort() {
  if (slot_) slot_->cancel();
  close();
}

void Session::enter(Phase phase, milliseconds timeout) {
  phase_ = phase;
  timed_out_ = false;
  arm_deadline(timeout);
}

void Session::arm_deadline(milliseconds timeout) {
  deadline_.expires_after(timeout);
  deadline_.async_wait([self = shared_from_this()](error_code cancelled) {
    const bool was_moved = self->deadline_.expiry() > std::chrono::steady_clock::now();
    if (!cancelled && !was_moved) self->deadline_passed();
  });
}

void Session::deadline_passed() {
  const bool can_tell_client = phase_ == Phase::kReadingHead || phase_ == Phase::kReadingBody;
  if (phase_ == Phase::kHandling) return;
  if (!can_tell_client) return close();
  timed_out_ = true;
  error_code ignored;
  socket_.cancel(ignored);
  arm_deadline(kCancelAgain);
}

}  // namespace ktrdr::http
