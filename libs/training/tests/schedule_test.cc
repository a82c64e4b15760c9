#include "ktrdr/training/schedule.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace ktrdr::training {
namespace {

using strategy::LearningRateSchedule;
using strategy::ScheduleType;

std::vector<double> rates(const LearningRateSchedule& schedule, double rate,
                          const std::vector<double>& losses) {
  ScheduleState state = start_schedule(rate);
  std::vector<double> result;
  for (const double loss : losses) {
    step_schedule(schedule, loss, state);
    result.push_back(state.learning_rate);
  }
  return result;
}

TEST(Schedule, NoneKeepsTheRate) {
  EXPECT_EQ(rates({}, 0.1, {3, 2, 1}), (std::vector<double>{0.1, 0.1, 0.1}));
}

TEST(Schedule, StepMultipliesEverySoManyEpochs) {
  const LearningRateSchedule step{.type = ScheduleType::kStep, .step_size = 2, .gamma = 0.5};
  EXPECT_EQ(rates(step, 1, {1, 1, 1, 1, 1}), (std::vector<double>{1, 0.5, 0.5, 0.25, 0.25}));
}

const LearningRateSchedule kPlateau{
    .type = ScheduleType::kReduceOnPlateau, .factor = 0.5, .patience = 1, .threshold = 0.1};

TEST(ReduceOnPlateau, ReducesAfterMoreThanPatienceBadEpochsAndCountsAnew) {
  EXPECT_EQ(rates(kPlateau, 1, {10, 10, 10, 10, 10}), (std::vector<double>{1, 1, 0.5, 0.5, 0.25}));
}

TEST(ReduceOnPlateau, CountsAnImprovementOnlyBelowTheRelativeThreshold) {
  EXPECT_EQ(rates(kPlateau, 1, {10, 9.5, 9.0}), (std::vector<double>{1, 1, 0.5}));  // 9.0 is not < 9.0
  EXPECT_EQ(rates(kPlateau, 1, {10, 9.5, 8.99}), (std::vector<double>{1, 1, 1}));
}

TEST(ReduceOnPlateau, StopsAtTheMinimumAndIgnoresTinyChanges) {
  LearningRateSchedule schedule = kPlateau;
  schedule.patience = 0;
  schedule.minimum_learning_rate = 0.4;
  EXPECT_EQ(rates(schedule, 1, {1, 1, 1, 1}), (std::vector<double>{1, 0.5, 0.4, 0.4}));
  schedule.minimum_learning_rate = 0;
  EXPECT_EQ(rates(schedule, 1.5e-8, {1, 1}), (std::vector<double>{1.5e-8, 1.5e-8}));
}

TEST(ReduceOnPlateau, TakesNanForABadEpochAndKeepsTheBest) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(rates(kPlateau, 1, {nan, nan, 10, 10, nan}), (std::vector<double>{1, 0.5, 0.5, 0.5, 0.25}));
}

TEST(ReduceOnPlateau, TakesALossOfZeroForALoss) {
  EXPECT_EQ(rates(kPlateau, 1, {1, 0, 0, 0}), (std::vector<double>{1, 1, 1, 0.5}));
}

}  // namespace
}  // namespace ktrdr::training
