// When a periodic checkpoint is due: after N completed epochs or T seconds since the last one (at first:
// since this process began to train), whichever comes first, and never for more than a share of the training
// time.
//
// What a checkpoint costs: the pause in which training stands still, and the processor time of whoever writes
// it while training goes on. With a core to spare the second costs training nothing; it is counted all the
// same, so that the promise also holds on a machine whose cores are all busy. Waiting for the disk is not
// counted: training reads none. The interval adapts: the next one waits until, at the price of the last one,
// all of them together cost no more than the budget.
//
// A checkpoint that is due and can't be taken, because the last one is still being written, stays due.
#pragma once

#include <cstdint>

#include "ktrdr/core/clock.h"

namespace ktrdr::training {

struct CheckpointPolicyOptions {
  std::int64_t every_epochs = 10;              // 0: not by epochs
  Duration every = std::chrono::seconds(300);  // 0: not by time
  double overhead_budget = 0.01;               // largest share of the time that checkpoints may cost
};

// Used by one thread. `clock` must outlive it.
class CheckpointPolicy {
 public:
  // Of all background saves so far, of earlier ones too: it only grows.
  using ProcessorTime = std::chrono::nanoseconds;

  // The run starts now.
  CheckpointPolicy(const Clock& clock, const CheckpointPolicyOptions& options, ProcessorTime background = {});

  void epoch_completed() { ++epochs_since_; }
  bool wanted() const;                            // by epochs or by time
  bool due(ProcessorTime background = {}) const;  // wanted, and within the budget

  // A checkpoint was taken and training waited for `pause`; it counts as at least a millisecond, the clock's
  // unit. Its background save has only begun.
  void taken(Duration pause, ProcessorTime background = {});

 private:
  using Cost = std::chrono::nanoseconds;

  const Clock& clock_;
  CheckpointPolicyOptions options_;
  Duration started_, last_;
  std::int64_t epochs_since_ = 0;
  Cost pauses_{0}, last_pause_{0};
  ProcessorTime background_at_start_, background_at_last_;
};

}  // namespace ktrdr::training
