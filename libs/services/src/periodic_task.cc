#include "ktrdr/services/periodic_task.h"

#include <pthread.h>

namespace ktrdr::services {

PeriodicTask::PeriodicTask(std::string name, Duration interval, std::function<void()> work)
    : name_(std::move(name)), interval_(interval), work_(std::move(work)), thread_([this] { run(); }) {}

PeriodicTask::~PeriodicTask() {
  state_.update([](State& state) { state.stopping = true; });
}

void PeriodicTask::wake() {
  state_.update([](State& state) { state.woken = true; });
}

void PeriodicTask::run() {
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  while (true) {
    const bool stopping = state_.wait(
        interval_, [](State& state) { return state.woken || state.stopping; },
        [](State& state, bool) {
          state.woken = false;
          return state.stopping;
        });
    if (stopping) return;
    work_();
  }
}

}  // namespace ktrdr::services
