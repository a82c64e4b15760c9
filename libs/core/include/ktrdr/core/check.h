// CHECK(condition, "why it must hold"): our own reasoning, tested in every build. A failed check is a bug: it
// prints the place and aborts, because going on with a wrong belief could cost somebody's checkpoint.
#pragma once

namespace ktrdr::internal {
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const char* why);
}

#define CHECK(condition, why) \
  ((condition) ? static_cast<void>(0) : ::ktrdr::internal::check_failed(__FILE__, __LINE__, #condition, why))
