// Real waits that SIGINT ends. The first Ctrl+C is only noted; the second one ends the process at once with
// 130. One at a time in a process: signals are the process's.
#pragma once

#include "ktrdr/core/durable_file.h"
#include "surroundings.h"

#include <csignal>

namespace ktrdr::cli {

class SignalPause final : public Pause {
 public:
  SignalPause();
  ~SignalPause() override;
  SignalPause(const SignalPause&) = delete;
  SignalPause& operator=(const SignalPause&) = delete;

  void wait(Duration duration) override;
  bool is_interrupted() const override;

 private:
  FileDescriptor reader_, writer_;
  struct sigaction previous_ {};
};

}  // namespace ktrdr::cli
