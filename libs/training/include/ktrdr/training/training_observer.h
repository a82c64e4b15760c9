// Who wants to watch a training: the worker, which tells the server.
#pragma once

#include <vector>

#include "ktrdr/api/operation.h"
#include "ktrdr/core/clock.h"

namespace ktrdr::training {

// Called on the training thread, so it must be quick and must not fail; it can't change the training.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;

  // At most about ten times a second, and whenever the phase changes. Counts from the beginning of the run,
  // also after a resume.
  virtual void on_progress(const api::Progress& progress, api::Phase phase) = 0;

  // Training stands still from here to on_checkpoint_pause(). For whoever measures more finely than in the
  // clock's milliseconds.
  virtual void on_checkpoint_begins() {}

  // Training stood still for so long, to copy its state for a checkpoint.
  virtual void on_checkpoint_pause(Duration pause) = 0;

  // Once per completed epoch of this process.
  virtual void on_epoch(const api::EpochMetrics& metrics) = 0;

  // The completed epochs that a resume starts with: what was reported after them by an earlier process is
  // void.
  virtual void on_history_restored(const std::vector<api::EpochMetrics>& history) = 0;
};

}  // namespace ktrdr::training
