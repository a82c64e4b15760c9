// A clock that moves only when a test says so. Safe from any thread.
#pragma once

#include <atomic>

#include "ktrdr/core/clock.h"

namespace ktrdr::testing {

class ManualClock final : public Clock {
 public:
  static constexpr std::int64_t kStart = 1'700'000'000'000;  // 2023-11-14T22:13:20Z

  std::int64_t wall_ms() const override { return wall_ms_; }
  Duration monotonic() const override { return Duration(monotonic_ms_); }

  void advance(Duration step) {
    wall_ms_ += step.count();
    monotonic_ms_ += step.count();
  }
  void jump_wall_clock(Duration step) { wall_ms_ += step.count(); }

 private:
  std::atomic<std::int64_t> wall_ms_ = kStart;
  std::atomic<std::int64_t> monotonic_ms_ = 1'000'000;
};

}  // namespace ktrdr::testing
