// A bounded queue of tasks and the threads that work it off. Owned by whoever wires the process.
#pragma once

#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "ktrdr/core/synchronized.h"
#include "ktrdr/services/executor.h"

namespace ktrdr::services {

class TaskQueue final : public Executor {
 public:
  TaskQueue(std::string name, std::size_t threads, std::size_t most_waiting);
  ~TaskQueue() override;  // stops
  TaskQueue(const TaskQueue&) = delete;
  TaskQueue& operator=(const TaskQueue&) = delete;

  // From any thread. False: the queue is full and the task was not taken.
  [[nodiscard]] bool post(Task task) override;

  void drop_waiting();

  // Takes no more, runs what waits, and returns when the threads have ended. Called by the owner; may be
  // called twice.
  void stop();

 private:
  struct State {
    std::deque<Task> waiting;
    bool stopping = false;
  };
  void run();

  const std::string name_;
  const std::size_t most_waiting_;
  Synchronized<State> state_;
  std::vector<std::jthread> threads_;
};

}  // namespace ktrdr::services
