#include "ktrdr/training/early_stopping.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace ktrdr::training {
namespace {

using strategy::EarlyStopping;
using strategy::Monitor;

// The index of the epoch that stops the training; -1: none does.
int stops_at(const EarlyStopping& rule, const std::vector<double>& values) {
  EarlyStoppingState state;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool by_loss = rule.monitor == Monitor::kValidationLoss;
    if (judge_epoch(rule, by_loss ? values[i] : 0, by_loss ? 0 : values[i], state))
      return static_cast<int>(i);
  }
  return -1;
}

const EarlyStopping kByLoss{.patience = 2, .minimum_delta = 0.1, .monitor = Monitor::kValidationLoss};
const EarlyStopping kByAccuracy{.patience = 2, .minimum_delta = 0.1, .monitor = Monitor::kValidationAccuracy};
const double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(EarlyStopping, StopsAfterPatienceMissesInARow) {
  EXPECT_EQ(stops_at(kByLoss, {1, 1, 1, 1}), 2);
  EXPECT_EQ(stops_at(kByLoss, {1, 1, 0.5, 0.5, 0.5}), 4);
  EXPECT_EQ(stops_at(kByAccuracy, {0.5, 0.4, 0.3}), 2);
}

TEST(EarlyStopping, CountsAGainOfExactlyTheMinimumDelta) {
  const EarlyStopping rule{.patience = 1, .minimum_delta = 0.25, .monitor = Monitor::kValidationLoss};
  EXPECT_EQ(stops_at(rule, {1, 0.75, 0.5}), -1);
  EXPECT_EQ(stops_at(rule, {1, 0.76}), 1);
}

TEST(EarlyStopping, GoesOnWhileTheAccuracyRises) {
  EXPECT_EQ(stops_at(kByAccuracy, {0.1, 0.3, 0.5, 0.7}), -1);
}

TEST(EarlyStopping, LetsAnEqualScoreCountWhenTheDeltaIsZero) {
  EXPECT_EQ(stops_at({.patience = 1, .minimum_delta = 0}, {1, 1, 1}), -1);
}

TEST(EarlyStopping, TakesNanForAMissThatKeepsTheBestScore) {
  EXPECT_EQ(stops_at(kByLoss, {kNan, kNan}), 1);
  EXPECT_EQ(stops_at(kByLoss, {1, kNan, 0.95}), 2);  // 0.95 is measured against 1
  EXPECT_EQ(stops_at(kByLoss, {std::numeric_limits<double>::infinity(), kNan}), 1);
}

TEST(EarlyStopping, TakesALossOfZeroForALoss) { EXPECT_EQ(stops_at(kByLoss, {0.5, 0, 0, 0}), 3); }

}  // namespace
}  // namespace ktrdr::training
