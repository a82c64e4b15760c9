// A clock that moves by the same step whenever somebody looks at it. Safe from any thread.
#pragma once

#include <atomic>

#include "ktrdr/core/clock.h"

namespace ktrdr::testing {

class TickingClock final : public Clock {
 public:
  explicit TickingClock(Duration step) : step_(step) {}
  std::int64_t wall_ms() const override { return monotonic().count(); }
  Duration monotonic() const override { return ++looks_ * step_; }

 private:
  const Duration step_;
  mutable std::atomic<std::int64_t> looks_ = 0;
};

}  // namespace ktrdr::testing
