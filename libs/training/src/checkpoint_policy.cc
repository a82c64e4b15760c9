#include "ktrdr/training/checkpoint_policy.h"

#include <algorithm>

namespace ktrdr::training {

CheckpointPolicy::CheckpointPolicy(const Clock& clock, const CheckpointPolicyOptions& options)
    : clock_(clock), options_(options), started_(clock.monotonic()), last_(started_) {}

bool CheckpointPolicy::due() const {
  const Duration now = clock_.monotonic();
  const bool by_epochs = options_.every_epochs > 0 && epochs_since_ >= options_.every_epochs;
  const bool by_time = options_.every > Duration(0) && now - last_ >= options_.every;
  if (!by_epochs && !by_time) return false;
  return static_cast<double>(paused_.count()) <=
         options_.overhead_budget * static_cast<double>((now - started_).count());
}

void CheckpointPolicy::taken(Duration pause) {
  last_ = clock_.monotonic();
  epochs_since_ = 0;
  paused_ += std::max(pause, Duration(1));
}

}  // namespace ktrdr::training
