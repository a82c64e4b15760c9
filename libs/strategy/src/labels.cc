#include "ktrdr/strategy/labels.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace ktrdr::strategy {
namespace {

enum class Direction { kUnknown, kUp, kDown };

// The rows of the pivots, in order; row 0 first.
class PivotFinder {
 public:
  PivotFinder(const std::vector<double>& close, double threshold) : close_(close), threshold_(threshold) {}

  std::vector<std::size_t> find() {
    pivots_.push_back(0);
    for (std::size_t row = 1; row < close_.size(); ++row) visit(row);
    return std::move(pivots_);
  }

 private:
  void visit(std::size_t row) {
    const double newest = close_[pivots_.back()];
    const double change = (close_[row] - newest) / newest;
    const bool rises = change >= threshold_, falls = change <= -threshold_;
    if (direction_ == Direction::kUp && change > 0) {
      pivots_.back() = row;
    } else if (direction_ == Direction::kDown && change < 0) {
      pivots_.back() = row;
    } else if (direction_ != Direction::kUp && rises) {
      open(row, Direction::kUp);
    } else if (direction_ != Direction::kDown && falls) {
      open(row, Direction::kDown);
    }
  }

  void open(std::size_t row, Direction direction) {
    pivots_.push_back(row);
    direction_ = direction;
  }

  const std::vector<double>& close_;
  const double threshold_;
  Direction direction_ = Direction::kUnknown;
  std::vector<std::size_t> pivots_;
};

}  // namespace

std::vector<std::int64_t> zigzag_labels(const std::vector<double>& close, double threshold) {
  std::vector<std::int64_t> labels(close.size(), kHold);
  if (close.empty()) return labels;
  const std::vector<std::size_t> pivots = PivotFinder(close, threshold).find();
  for (std::size_t i = 0; i + 1 < pivots.size(); ++i) {
    const std::int64_t label = close[pivots[i + 1]] > close[pivots[i]] ? kBuy : kSell;
    std::fill(labels.begin() + static_cast<std::ptrdiff_t>(pivots[i]) + 1,
              labels.begin() + static_cast<std::ptrdiff_t>(pivots[i + 1]), label);
  }
  return labels;
}

}  // namespace ktrdr::strategy
