#include "signal_pause.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>

namespace ktrdr::cli {
namespace {

// What a signal handler may touch: lock-free atomics and write().
std::atomic<int> interrupts = 0;
std::atomic<int> wake_fd = -1;
static_assert(std::atomic<int>::is_always_lock_free);

void on_interrupt(int) {
  constexpr int kInterruptedExit = 130;
  if (interrupts.fetch_add(1) > 0) _exit(kInterruptedExit);
  const char wake = 'x';
  [[maybe_unused]] const ssize_t written = write(wake_fd.load(), &wake, 1);
}

}  // namespace

SignalPause::SignalPause() {
  int ends[2];
  CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "a command can open a pipe");
  reader_ = FileDescriptor(ends[0]);
  writer_ = FileDescriptor(ends[1]);
  CHECK(wake_fd.exchange(writer_.get()) == -1, "only one SignalPause lives at a time");
  interrupts = 0;
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  action.sa_flags = SA_RESTART;  // a request that is under way is not disturbed
  sigaction(SIGINT, &action, &previous_);
}

SignalPause::~SignalPause() {
  sigaction(SIGINT, &previous_, nullptr);
  wake_fd = -1;
}

void SignalPause::wait(Duration duration) {
  pollfd waiting{reader_.get(), POLLIN, 0};
  poll(&waiting, 1, static_cast<int>(duration.count()));
  char woken = 0;
  [[maybe_unused]] const ssize_t count = read(reader_.get(), &woken, 1);  // the next wait is a real one again
}

bool SignalPause::is_interrupted() const { return interrupts > 0; }

}  // namespace ktrdr::cli
