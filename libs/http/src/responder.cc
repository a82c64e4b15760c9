#include "ktrdr/http/responder.h"

#include <utility>

#include "ktrdr/core/check.h"
#include "ktrdr/core/log.h"
#include "refusal.h"

namespace ktrdr::http {

bool AnswerSlot::answer(Response response) {
  auto guard = deliver_.lock();
  if (!*guard) return false;
  const Deliver deliver = std::exchange(*guard, nullptr);
  deliver(std::move(response));
  return true;
}

void AnswerSlot::cancel() {
  Deliver
      dropped;  // destroyed after the lock is released: it may hold the last reference to this slot's owner
  deliver_.lock()->swap(dropped);
}

Responder::Responder(Deliver deliver) : Responder(std::make_shared<AnswerSlot>(std::move(deliver))) {}

Responder::~Responder() {
  if (!slot_ || !slot_->answer(refuse(kHandlerFailed))) return;
  log(LogLevel::kError,
      "A request handler ended without an answer. This is a bug; the client got status 500.");
}

bool Responder::respond(Response response) const {
  CHECK(slot_ != nullptr, "a responder that was moved away is not used any more");
  return slot_->answer(std::move(response));
}

}  // namespace ktrdr::http
