#include "ktrdr/core/clock.h"

#include <charconv>
#include <cstdio>

namespace ktrdr {
namespace {

struct CivilTime {
  std::chrono::year_month_day date;
  std::chrono::hh_mm_ss<std::chrono::milliseconds> time;
};

CivilTime civil(std::int64_t wall_ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> point{std::chrono::milliseconds(wall_ms)};
  const auto day = std::chrono::floor<std::chrono::days>(point);
  return {std::chrono::year_month_day(day), std::chrono::hh_mm_ss(point - day)};
}

std::string format(const char* pattern, const CivilTime& t) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, static_cast<int>(t.date.year()),
                static_cast<unsigned>(t.date.month()), static_cast<unsigned>(t.date.day()),
                static_cast<int>(t.time.hours().count()), static_cast<int>(t.time.minutes().count()),
                static_cast<int>(t.time.seconds().count()), static_cast<int>(t.time.subseconds().count()));
  return text;
}

// Eats exactly `width` digits off the front of `text`.
bool take_digits(std::string_view& text, std::size_t width, int& value) {
  if (text.size() < width) return false;
  for (const char c : text.substr(0, width)) {
    if (c < '0' || c > '9') return false;
  }
  std::from_chars(text.data(), text.data() + width, value);
  text.remove_prefix(width);
  return true;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// ".123456" to milliseconds; further digits are dropped.
bool take_fraction(std::string_view& text, int& ms) {
  int scale = 100, digits = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9';
       text.remove_prefix(1), ++digits, scale /= 10) {
    ms += (text.front() - '0') * scale;
  }
  return digits > 0;
}

bool take_zone(std::string_view& text, int& offset_minutes) {
  if (text.empty() || take(text, "Z")) return text.empty();
  const int sign = text.front() == '-' ? -1 : 1;
  int hours = 0, minutes = 0;
  if (!take(text, "+-") || !take_digits(text, 2, hours)) return false;
  take(text, ":");
  if (!take_digits(text, 2, minutes) || hours > 23 || minutes > 59) return false;
  offset_minutes = sign * (hours * 60 + minutes);
  return text.empty();
}

}  // namespace

std::int64_t SystemClock::wall_ms() const {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

Duration SystemClock::monotonic() const {
  return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch());
}

std::string iso8601_utc(std::int64_t wall_ms) {
  return format("%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", civil(wall_ms));
}

std::string compact_utc(std::int64_t wall_ms) { return format("%04d%02u%02u_%02d%02d%02d", civil(wall_ms)); }

Result<std::int64_t> parse_iso8601_ms(std::string_view text) {
  const Error bad{ErrorCode::kInvalidArgument,
                  "Not a date or time: write it like 2024-01-31 or 2024-01-31T23:59:59Z (UTC)."};
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0, offset_minutes = 0;
  if (!take_digits(text, 4, year) || !take(text, "-") || !take_digits(text, 2, month) || !take(text, "-") ||
      !take_digits(text, 2, day)) {
    return bad;
  }
  if (take(text, "T ")) {
    if (!take_digits(text, 2, hour) || !take(text, ":") || !take_digits(text, 2, minute)) return bad;
    if (take(text, ":")) {
      if (!take_digits(text, 2, second)) return bad;
      if (take(text, ".") && !take_fraction(text, ms)) return bad;
    }
    if (!take_zone(text, offset_minutes)) return bad;
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!text.empty() || !date.ok() || year < 1 || hour > 23 || minute > 59 || second > 59) return bad;
  const auto since_epoch = std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(hour) +
                           std::chrono::minutes(minute - offset_minutes) + std::chrono::seconds(second);
  return std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count() + ms;
}

}  // namespace ktrdr
