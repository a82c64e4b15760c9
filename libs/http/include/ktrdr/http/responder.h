// How a parked handler answers: later, from any thread, at most once, while no thread waits for it.
#pragma once

#include <functional>
#include <memory>

#include "ktrdr/core/synchronized.h"
#include "ktrdr/http/message.h"

namespace ktrdr::http {

using Deliver = std::function<void(Response)>;

// The place for the one answer of one request. The transport (which answers 503 when it stops) and a
// Responder share it; the first answer wins. `deliver` is called under the lock, so that after cancel() it
// can't be running: it must only hand the response on. Safe to call from any thread.
class AnswerSlot {
 public:
  explicit AnswerSlot(Deliver deliver) : deliver_(std::move(deliver)) {}

  bool answer(Response response);  // whether this was the first answer
  void cancel();                   // nobody listens any more: later answers are dropped

 private:
  Synchronized<Deliver> deliver_;
};

// Owned by the handler it was given to. Safe to call from any thread, also after the server has gone.
// Destroyed without an answer, it answers 500: a client never waits for ever because of a forgotten branch.
class Responder {
 public:
  explicit Responder(std::shared_ptr<AnswerSlot> slot) : slot_(std::move(slot)) {}
  explicit Responder(Deliver deliver);  // for tests of handlers
  Responder(Responder&&) noexcept = default;
  Responder& operator=(Responder&&) = delete;
  ~Responder();

  // False when the request was answered already (by another thread, or with 503 because the server is
  // stopping).
  bool respond(Response response) const;

 private:
  std::shared_ptr<AnswerSlot> slot_;
};

}  // namespace ktrdr::http
