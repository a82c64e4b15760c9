// What the model learns to say about a bar.
//
// ZigZag on closing prices: row 0 is the first pivot; the first move of at least `threshold` away from it
// sets the direction and the second pivot. The newest pivot moves along while the price makes new extremes; a
// reversal of at least `threshold` from it opens the next pivot at the reversing bar. A bar strictly between
// two pivots is BUY when the later one is higher and SELL when it is lower. Pivots, and all bars after the
// last one, are HOLD.
#pragma once

#include <cstdint>
#include <vector>

namespace ktrdr::strategy {

enum Label : std::int64_t { kBuy = 0, kHold = 1, kSell = 2 };
inline constexpr std::int64_t kLabelClasses = 3;

// One label per close. `close` is positive, 0 < threshold < 1 (0.02: two per cent).
std::vector<std::int64_t> zigzag_labels(const std::vector<double>& close, double threshold);

}  // namespace ktrdr::strategy
