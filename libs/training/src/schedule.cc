#include "ktrdr/training/schedule.h"

#include <algorithm>

namespace ktrdr::training {
namespace {

constexpr double kSmallestChange = 1e-8;  // PyTorch's eps of ReduceLROnPlateau

void step(const strategy::LearningRateSchedule& schedule, ScheduleState& state) {
  if (state.epochs % schedule.step_size == 0) state.learning_rate *= schedule.gamma;
}

void reduce_on_plateau(const strategy::LearningRateSchedule& schedule, double loss, ScheduleState& state) {
  if (loss < state.best * (1 - schedule.threshold)) {
    state.best = loss;
    state.bad_epochs = 0;
  } else {
    ++state.bad_epochs;
  }
  if (state.bad_epochs <= schedule.patience) return;
  state.bad_epochs = 0;
  const double reduced = std::max(state.learning_rate * schedule.factor, schedule.minimum_learning_rate);
  if (state.learning_rate - reduced > kSmallestChange) state.learning_rate = reduced;
}

}  // namespace

ScheduleState start_schedule(double learning_rate) { return {.learning_rate = learning_rate}; }

void step_schedule(const strategy::LearningRateSchedule& schedule, double validation_loss,
                   ScheduleState& state) {
  ++state.epochs;
  switch (schedule.type) {
    case strategy::ScheduleType::kNone: return;
    case strategy::ScheduleType::kStep: return step(schedule, state);
    case strategy::ScheduleType::kReduceOnPlateau: return reduce_on_plateau(schedule, validation_loss, state);
  }
}

}  // namespace ktrdr::training
