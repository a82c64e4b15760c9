// Where a trainer's checkpoints go: the port that the worker implements with a checkpoint store and the
// server.
#pragma once

#include <chrono>

#include "ktrdr/api/checkpoint.h"
#include "ktrdr/core/result.h"
#include "ktrdr/training/snapshot.h"

namespace ktrdr::training {

// Called by the trainer's thread only; what it does in the background is its own business.
//
// Memory: from save_in_background() on the sink reads the snapshot, and the trainer neither changes nor frees
// it until idle() is true. A sink that only waits for the server's acknowledgement of files already written
// is idle.
class CheckpointSink {
 public:
  virtual ~CheckpointSink() = default;

  // No background save is reading a snapshot.
  virtual bool idle() const = 0;

  // Returns when idle() is true. Bounded by the storage, not by the server.
  virtual void wait_until_idle() = 0;

  // Processor time that saving in the background has taken so far; it may be taken from training's.
  virtual std::chrono::nanoseconds background_cost() const { return {}; }

  // Only when idle. A failure is the sink's to report: training goes on and the next checkpoint tries again.
  virtual void save_in_background(const TrainingSnapshot& snapshot, api::CheckpointType type) = 0;

  // Only when idle. Waits for the durable, acknowledged commit; after an error no such checkpoint counts.
  virtual Result<void> save_now(const TrainingSnapshot& snapshot, api::CheckpointType type) = 0;
};

}  // namespace ktrdr::training
