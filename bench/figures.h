// The lines that a bench prints, and the arithmetic behind them.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "ktrdr/core/check.h"

namespace ktrdr::bench {

using Stopwatch = std::chrono::steady_clock;

inline double seconds_since(Stopwatch::time_point begin) {
  return std::chrono::duration<double>(Stopwatch::now() - begin).count();
}

// The value below which the given part (0 to 1) of all values lies.
inline double quantile(std::vector<double> values, double part) {
  CHECK(!values.empty(), "something was measured");
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
}

inline double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

// A broken promise is no figure that is a little short: the program then ends with 1. Safe from any thread.
class Figures {
 public:
  void at_least(const std::string& name, double value, double bound) {
    print(name, value, bound, value >= bound);
  }
  void at_most(const std::string& name, double value, double bound) {
    print(name, value, bound, value <= bound);
  }
  void below(const std::string& name, double value, double bound) {
    print(name, value, bound, value < bound);
  }

  // How often something held that must hold every time.
  void always(const std::string& name, int held, int of) {
    print(name, held, of, held == of);
    if (held != of) is_broken_ = true;
  }
  void broken(const std::string& what) {
    std::fprintf(stderr, "BROKEN: %s\n", what.c_str());
    is_broken_ = true;
  }
  bool is_broken() const { return is_broken_; }

 private:
  static void print(const std::string& name, double value, double bound, bool is_good) {
    const int digits = value >= 100 || value == static_cast<int>(value) ? 0 : 2;
    std::printf("figure %s %.*f %g %s\n", name.c_str(), digits, value, bound, is_good ? "ok" : "short");
    std::fflush(stdout);
  }

  std::atomic<bool> is_broken_ = false;
};

}  // namespace ktrdr::bench
