// Time as a dependency. Nothing but SystemClock asks the machine, so tests move time by hand and none of them
// sleeps. Leases and every other duration use the monotonic clock; the wall clock only makes timestamps for
// people.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "ktrdr/core/result.h"

namespace ktrdr {

using Duration = std::chrono::milliseconds;

// Safe to call from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t wall_ms() const = 0;  // milliseconds since 1970-01-01 UTC
  virtual Duration monotonic() const = 0;    // since some fixed moment; never jumps
};

class SystemClock final : public Clock {
 public:
  std::int64_t wall_ms() const override;
  Duration monotonic() const override;
};

std::string iso8601_utc(std::int64_t wall_ms);  // "2026-11-23T14:08:33.123Z"
std::string compact_utc(std::int64_t wall_ms);  // "20261123_140833"

// Reads "2026-11-23", "2026-11-23T14:08:33" with optional fraction (to the millisecond), space for T, and
// "Z", "+HH:MM" or nothing (taken as UTC) at the end. Proleptic Gregorian, years 1 to 9999; refuses
// 2023-02-30.
Result<std::int64_t> parse_iso8601_ms(std::string_view text);

}  // namespace ktrdr
