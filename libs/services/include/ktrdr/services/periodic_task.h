// A loop with a name: calls its work every interval and whenever it is woken. Owned by whoever wires the
// process.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/synchronized.h"

namespace ktrdr::services {

class PeriodicTask {
 public:
  // The first call comes at once. `work` runs on the task's own thread and must not throw.
  PeriodicTask(std::string name, Duration interval, std::function<void()> work);
  ~PeriodicTask();  // waits for a call that is under way
  PeriodicTask(const PeriodicTask&) = delete;
  PeriodicTask& operator=(const PeriodicTask&) = delete;

  void wake();  // from any thread: another call soon, also when one is under way

 private:
  struct State {
    bool woken = true;
    bool stopping = false;
  };
  void run();

  const std::string name_;
  const Duration interval_;
  const std::function<void()> work_;
  Synchronized<State> state_;
  std::jthread thread_;
};

}  // namespace ktrdr::services
