// SIGTERM and Ctrl+C as something main() waits for, instead of something that interrupts it.
#pragma once

#include <signal.h>

#include "ktrdr/core/clock.h"

namespace ktrdr {

// Make one before the first thread starts: threads inherit the blocked signals, so only whoever waits here
// gets them. SIGPIPE is ignored from then on: a peer that hangs up is an error of a write, not the end of the
// process.
class TerminationSignals {
 public:
  TerminationSignals();

  void wait() const;
  bool wait_for(Duration timeout) const;  // false: none came

 private:
  sigset_t signals_;
};

}  // namespace ktrdr
