// Learning rate schedules, stepped once per epoch after validation. Plain values: the state is all there is,
// so a checkpoint that holds it goes on exactly.
//
// The rules and the order of the arithmetic are PyTorch 1.13's: StepLR multiplies the rate it has by gamma
// every step_size epochs; ReduceLROnPlateau (mode min, relative threshold, no cooldown) multiplies by factor
// after more than `patience` epochs in a row without an improvement, and ignores a change of 1e-8 or less.
#pragma once

#include <cstdint>
#include <limits>

#include "ktrdr/strategy/strategy.h"

namespace ktrdr::training {

struct ScheduleState {
  double learning_rate = 0;  // of the epoch in progress
  std::int64_t epochs = 0;   // how often it was stepped
  double best =
      std::numeric_limits<double>::infinity();  // reduce_on_plateau: the lowest validation loss so far
  std::int64_t bad_epochs = 0;                  // reduce_on_plateau: epochs in a row without a better one
  bool operator==(const ScheduleState&) const = default;
};

ScheduleState start_schedule(double learning_rate);

// Ends one epoch. A validation loss of NaN is not an improvement.
void step_schedule(const strategy::LearningRateSchedule& schedule, double validation_loss,
                   ScheduleState& state);

}  // namespace ktrdr::training
