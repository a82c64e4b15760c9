#include "ktrdr/services/task_queue.h"

#include <pthread.h>

namespace ktrdr::services {

TaskQueue::TaskQueue(std::string name, std::size_t threads, std::size_t most_waiting)
    : name_(std::move(name)), most_waiting_(most_waiting) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

TaskQueue::~TaskQueue() { stop(); }

void TaskQueue::drop_waiting() {
  state_.update([](State& state) { state.waiting.clear(); });
}

void TaskQueue::stop() {
  state_.update([](State& state) { state.stopping = true; });
  threads_.clear();
}

bool TaskQueue::post(Task task) {
  bool taken = false;
  state_.update([&](State& state) {
    taken = !state.stopping && state.waiting.size() < most_waiting_;
    if (taken) state.waiting.push_back(std::move(task));
  });
  return taken;
}

void TaskQueue::run() {
  constexpr Duration kLookAgain =
      std::chrono::seconds(60);  // a bound only: post() and the destructor wake us
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  while (true) {
    bool ended = false;
    Task next = state_.wait(
        kLookAgain, [](State& state) { return state.stopping || !state.waiting.empty(); },
        [&ended](State& state, bool) -> Task {
          ended = state.stopping && state.waiting.empty();
          if (state.waiting.empty()) return nullptr;
          Task task = std::move(state.waiting.front());
          state.waiting.pop_front();
          return task;
        });
    if (ended) return;
    if (next) next();
  }
}

}  // namespace ktrdr::services
