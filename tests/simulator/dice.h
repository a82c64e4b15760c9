// Where every decision of a simulation comes from: equal seeds throw equal dice on every machine.
#pragma once

#include <cstdint>
#include <vector>

#include "ktrdr/core/clock.h"

namespace ktrdr::simulator {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15U + 1) {}

  // splitmix64, by Sebastiano Vigna (public domain).
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(most - least + 1));
  }
  Duration duration(Duration least, Duration most) { return Duration(between(least.count(), most.count())); }
  bool chance(double probability) { return static_cast<double>(next() >> 11) * 0x1p-53 < probability; }
  std::size_t index(std::size_t size) { return static_cast<std::size_t>(next() % size); }
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[index(from.size())];
  }

 private:
  std::uint64_t state_;
};

}  // namespace ktrdr::simulator
