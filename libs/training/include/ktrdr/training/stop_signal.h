// How others ask a running training to stop. Safe from any thread and from a signal handler.
#pragma once

#include <atomic>

namespace ktrdr::training {

// In order of strength: a later, weaker request never hides a stronger one.
enum class StopRequest {
  kNone,
  kShutdown,  // the process is asked to end: save, hand the operation back
  kCancel,    // the user cancels: save, end as cancelled
  kAbandon    // the server refused us (another attempt owns the operation): stop at once, save nothing
};

class StopSignal {
 public:
  void request(StopRequest wanted) {
    StopRequest current = request_.load();
    while (current < wanted && !request_.compare_exchange_weak(current, wanted)) {
    }
  }
  StopRequest requested() const { return request_.load(std::memory_order_relaxed); }
  bool is_set() const { return requested() != StopRequest::kNone; }

 private:
  static_assert(std::atomic<StopRequest>::is_always_lock_free, "a signal handler may set it");
  std::atomic<StopRequest> request_ = StopRequest::kNone;
};

}  // namespace ktrdr::training
