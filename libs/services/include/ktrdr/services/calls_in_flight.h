// Which calls are under way and since when, to find one that is stuck. A call counts from begin() until what
// begin() returned is gone, however its scope is left; this object must outlive it. Safe to call from any
// thread.
#pragma once

#include <set>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/synchronized.h"

namespace ktrdr::services {

class CallsInFlight {
  using Starts = std::multiset<Duration>;

 public:
  explicit CallsInFlight(const Clock& clock) : clock_(clock) {}

  class Call {
   public:
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() { calls_.starts_.lock()->erase(start_); }

   private:
    friend class CallsInFlight;
    explicit Call(CallsInFlight& calls)
        : calls_(calls), start_(calls.starts_.lock()->insert(calls.clock_.monotonic())) {}

    CallsInFlight& calls_;
    const Starts::iterator start_;
  };

  [[nodiscard]] Call begin() { return Call(*this); }

  bool has_one_older_than(Duration age) {
    auto starts = starts_.lock();
    return !starts->empty() && clock_.monotonic() - *starts->begin() >= age;
  }

 private:
  const Clock& clock_;
  Synchronized<Starts> starts_;
};

}  // namespace ktrdr::services
