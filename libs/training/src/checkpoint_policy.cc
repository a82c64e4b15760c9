#include "ktrdr/training/checkpoint_policy.h"

#include <algorithm>

namespace ktrdr::training {

CheckpointPolicy::CheckpointPolicy(const Clock& clock, const CheckpointPolicyOptions& options,
                                   ProcessorTime background)
    : clock_(clock),
      options_(options),
      started_(clock.monotonic()),
      last_(started_),
      background_at_start_(background),
      background_at_last_(background) {}

bool CheckpointPolicy::wanted() const {
  const bool by_epochs = options_.every_epochs > 0 && epochs_since_ >= options_.every_epochs;
  const bool by_time = options_.every > Duration(0) && clock_.monotonic() - last_ >= options_.every;
  return by_epochs || by_time;
}

bool CheckpointPolicy::due(ProcessorTime background) const {
  if (!wanted()) return false;
  const Cost so_far = pauses_ + (background - background_at_start_);
  const Cost of_next = last_pause_ + (background - background_at_last_);  // as much as the last one's
  const Cost elapsed = clock_.monotonic() - started_;
  return static_cast<double>((so_far + of_next).count()) <=
         options_.overhead_budget * static_cast<double>(elapsed.count());
}

void CheckpointPolicy::taken(Duration pause, ProcessorTime background) {
  last_ = clock_.monotonic();
  epochs_since_ = 0;
  last_pause_ = std::max(pause, Duration(1));
  pauses_ += last_pause_;
  background_at_last_ = background;
}

}  // namespace ktrdr::training
