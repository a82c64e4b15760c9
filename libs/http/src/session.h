// One connection: reads requests one after the other, lets Admission judge each, hands it to its handler,
// writes the answer. Private to the transport: only session.cc and server.cc see Boost.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "admission.h"
#include "ktrdr/http/body_stream.h"
#include "ktrdr/http/responder.h"
#include "ktrdr/http/server.h"

namespace ktrdr::http {

class Session;

// What a session needs of the server. All calls come from the io thread.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  virtual const Admission& admission() const = 0;
  virtual const Limits& limits() const = 0;
  virtual bool is_stopping() const = 0;
  virtual void run_handler(const Route& route, Request request, std::shared_ptr<AnswerSlot> slot) = 0;
  virtual void answered(const Answered& answer) const = 0;
  virtual void session_ended(Session* session) = 0;
};

// An answer whose body goes on. Not inside Session: clang can't make an optional of a class in a class whose
// members have defaults.
struct OutgoingStream {
  std::shared_ptr<BodyStream> body;
  boost::beast::http::response<boost::beast::http::empty_body> head;
  std::optional<boost::beast::http::response_serializer<boost::beast::http::empty_body>> serializer;
  std::string chunk;  // on its way
  bool is_writing = false;
};

//   idle --first byte--> reading head --admitted--> reading body --> handling --answered--> writing --+
//    ^                        |  \------ no body -------------------->^                     ^  |      |
//    |                        +------- refused, malformed, timed out -----------------------+  |      |
//    +------------------------------------- keep-alive ---------------------------------------+      |
//                                                         closed <-- lingering <-- not all was read --+
//                                   (or the stream has ended) ^------ streaming <-- the body goes on --+
//
// Lives as long as an operation on its socket or an unanswered request refers to it. Used only on the io
// thread, except that an answer may be posted from anywhere.
class Session final : public std::enable_shared_from_this<Session> {
 public:
  Session(SessionHost& host, boost::asio::ip::tcp::socket socket);
  ~Session();

  void start();
  void start_refused(const Refusal& refusal);  // for a connection too many: answers without reading

  void server_is_stopping();  // idle: close. Parked: 503. Streaming: end. Else go on; the next answer closes.
  void abort();               // the time for going on is over

 private:
  enum class Phase { kIdle, kReadingHead, kReadingBody, kHandling, kWriting, kStreaming, kLingering };
  using ErrorCodeOfBoost = boost::system::error_code;

  void wait_for_request(std::chrono::milliseconds timeout);
  void read_head();
  void head_arrived(ErrorCodeOfBoost failure);
  void admit();
  void send_continue();
  void read_body();
  void body_arrived(ErrorCodeOfBoost failure);
  void dispatch();
  void answer_refusal(const Refusal& refusal) { write(refuse(refusal)); }
  void answer_failed_read(ErrorCodeOfBoost failure);
  std::optional<Refusal> refusal_of(ErrorCodeOfBoost failure) const;
  void write(Response response);
  void tell_observer(int status) const;
  void begin_stream(const Response& response);
  void send_stream();
  void write_chunk(const std::string& bytes, bool is_last);
  void end_stream();
  void written(ErrorCodeOfBoost failure);
  bool has_unread_input() const;
  void linger();
  void drain();
  void close();

  void enter(Phase phase, std::chrono::milliseconds timeout);
  void arm_deadline(std::chrono::milliseconds timeout);
  void deadline_passed();
  RequestHead take_head() const;
  bool may_keep_alive() const;

  SessionHost& host_;
  boost::asio::ip::tcp::socket socket_;
  const std::string remote_address_;
  boost::asio::steady_timer deadline_;
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  std::optional<boost::beast::http::response<boost::beast::http::string_body>> response_;
  std::optional<OutgoingStream> stream_;
  std::optional<Admitted> admitted_;
  std::shared_ptr<AnswerSlot> slot_;
  std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
  const Route* route_ = nullptr;  // of the request that is being answered
  Phase phase_ = Phase::kIdle;
  bool is_parked_ = false;  // the request in slot_ has a parked handler
  bool timed_out_ = false;
  bool must_close_ = false;
};

}  // namespace ktrdr::http
