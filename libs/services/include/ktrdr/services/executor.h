// Runs tasks, some time later: threads in production (TaskQueue), a scheduler in the simulator.
#pragma once

#include <functional>

namespace ktrdr::services {

class Executor {
 public:
  using Task = std::function<void()>;  // must not throw

  virtual ~Executor() = default;

  // From any thread. False: there is no room and the task was not taken.
  [[nodiscard]] virtual bool post(Task task) = 0;
};

}  // namespace ktrdr::services
