// The body of a response that goes on after the handler has returned: an event stream.
//
// The handler keeps a shared_ptr and puts another into Response::stream; the transport sends what comes, in
// chunks, while no thread waits. A reader that is too slow is bounded: when more than `most_waiting_bytes`
// were not taken by its connection yet, the connection is closed. Whoever sends learns from send() or
// is_open() that nobody reads any more. Safe to call from any thread, also after the server has gone.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "ktrdr/core/synchronized.h"

namespace ktrdr::http {

class BodyStream {
 public:
  explicit BodyStream(std::size_t most_waiting_bytes = kMostWaitingBytes)
      : most_waiting_bytes_(most_waiting_bytes) {}

  // False: it has ended, nobody reads any more, or the reader is too slow; the piece is dropped.
  bool send(std::string_view piece);
  void end();  // the body is complete; what was sent before still goes out
  bool is_open() const;

  // ---- for the transport ----

  // `wake` is called, under the lock, when there is something to take: it must only hand that on.
  void attach(std::function<void()> wake);
  struct Taken {
    std::string bytes;
    bool ended = false;   // nothing follows
    bool closed = false;  // the reader was too slow, or has gone: the rest is lost
  };
  Taken take();
  void close();  // nobody reads any more; `wake` is not called after this

  static constexpr std::size_t kMostWaitingBytes = std::size_t{256} * 1024;

 private:
  struct State {
    std::string waiting;
    bool ended = false, closed = false, woken = false;
    std::function<void()> wake;
  };
  static void wake(State& state);

  const std::size_t most_waiting_bytes_;
  mutable Synchronized<State> state_;
};

}  // namespace ktrdr::http
