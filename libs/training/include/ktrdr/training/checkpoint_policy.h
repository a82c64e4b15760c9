// When a periodic checkpoint is due: after N completed epochs or T seconds since the last one (at first:
// since this process began to train), whichever comes first, and never for more than a share of the training
// time.
//
// A checkpoint that is due and can't be taken, because the last one is still being written, stays due.
#pragma once

#include <cstdint>

#include "ktrdr/core/clock.h"

namespace ktrdr::training {

struct CheckpointPolicyOptions {
  std::int64_t every_epochs = 10;              // 0: not by epochs
  Duration every = std::chrono::seconds(300);  // 0: not by time
  double overhead_budget = 0.01;               // largest share of the time that taking checkpoints may cost
};

// Used by one thread. `clock` must outlive it.
class CheckpointPolicy {
 public:
  CheckpointPolicy(const Clock& clock, const CheckpointPolicyOptions& options);  // the run starts now

  void epoch_completed() { ++epochs_since_; }
  bool due() const;

  // A checkpoint was taken and training waited for `pause`; it counts as at least a millisecond, the clock's
  // unit.
  void taken(Duration pause);

 private:
  const Clock& clock_;
  CheckpointPolicyOptions options_;
  Duration started_, last_;
  std::int64_t epochs_since_ = 0;
  Duration paused_{0};
};

}  // namespace ktrdr::training
