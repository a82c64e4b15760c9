#include "ktrdr/http/body_stream.h"

#include <utility>

namespace ktrdr::http {

// Once until it is taken: many small pieces become one chunk.
void BodyStream::wake(State& state) {
  if (state.woken || !state.wake) return;
  state.woken = true;
  state.wake();
}

bool BodyStream::send(std::string_view piece) {
  auto state = state_.lock();
  if (state->closed || state->ended) return false;
  state->closed = state->waiting.size() + piece.size() > most_waiting_bytes_;
  if (state->closed) state->waiting = {};
  else state->waiting += piece;
  wake(*state);
  return !state->closed;
}

void BodyStream::end() {
  auto state = state_.lock();
  if (state->closed) return;
  state->ended = true;
  wake(*state);
}

bool BodyStream::is_open() const {
  auto state = state_.lock();
  return !state->closed && !state->ended;
}

void BodyStream::attach(std::function<void()> waker) {
  auto state = state_.lock();
  state->wake = std::move(waker);
  state->woken = false;
  if (!state->waiting.empty() || state->ended || state->closed) wake(*state);
}

BodyStream::Taken BodyStream::take() {
  auto state = state_.lock();
  state->woken = false;
  return {std::exchange(state->waiting, {}), state->ended, state->closed};
}

void BodyStream::close() {
  std::function<void()> dropped;  // destroyed after the lock is released
  auto state = state_.lock();
  state->closed = true;
  state->waiting = {};
  state->wake.swap(dropped);
}

}  // namespace ktrdr::http
