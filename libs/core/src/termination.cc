#include "ktrdr/core/termination.h"

#include <ctime>

namespace ktrdr {

TerminationSignals::TerminationSignals() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

void TerminationSignals::wait() const {
  int received = 0;
  sigwait(&signals_, &received);
}

bool TerminationSignals::wait_for(Duration timeout) const {
  const timespec bound{.tv_sec = timeout.count() / 1000, .tv_nsec = (timeout.count() % 1000) * 1'000'000};
  return sigtimedwait(&signals_, nullptr, &bound) > 0;
}

}  // namespace ktrdr
