// A program started by a test. Killed and reaped when the object goes.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/core/clock.h"

namespace ktrdr::system_test {

struct Command {
  std::filesystem::path program;
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;  // added to ours
  std::filesystem::path output;  // stdout and stderr; empty: a pipe, see output()
};

class ChildProcess {
 public:
  explicit ChildProcess(const Command& command);
  ~ChildProcess();
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  bool is_running();
  // The exit code, or 128 + signal. Nothing when it still runs after `timeout`.
  std::optional<int> wait(Duration timeout);
  void kill_and_reap();

 private:
  pid_t pid_ = 0;
  std::optional<int> status_;
};

struct Finished {
  int exit_code = 0;
  std::string out, err;
};

// Runs a command to its end.
Finished run(Command command, Duration timeout = std::chrono::seconds(60));

// Asks `condition` again and again, until it holds or the time is up. A test waits for something, never for a
// time.
template <class Condition>
bool eventually(Condition condition, Duration timeout = std::chrono::seconds(30));

void pause_between_looks();

template <class Condition>
bool eventually(Condition condition, Duration timeout) {
  const SystemClock clock;
  for (const Duration end = clock.monotonic() + timeout; clock.monotonic() < end; pause_between_looks()) {
    if (condition()) return true;
  }
  return condition();
}

}  // namespace ktrdr::system_test
