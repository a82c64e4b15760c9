// Who wants to watch a claimed attempt, from its claim to its last word: RunReport, which tells the server,
// and WorkerMetrics, which tells Prometheus. Whoever watches only a part leaves the rest as it is here.
//
// Called from the attempt's threads, several at once; it must be quick and can't change the attempt.
#pragma once

#include <cstdint>

#include "ktrdr/training/training_observer.h"

namespace ktrdr::worker {

enum class AttemptEnd {
  kCompleted,
  kFailed,
  kCancelled,
  kHandedBack,  // this process was asked to end; the server knows where to go on
  kRefused,     // another attempt owns the operation, or the server did not take the last word
  kUnheard      // the server was away until the time of a shutdown was over
};

class RunObserver : public training::TrainingObserver {
 public:
  virtual void on_begin() {}

  void on_progress(const api::Progress&, api::Phase) override {}
  void on_checkpoint_begins() override {}
  void on_checkpoint_pause(Duration) override {}
  void on_epoch(const api::EpochMetrics&) override {}
  void on_history_restored(const std::vector<api::EpochMetrics>&) override {}

  // A checkpoint's row was acknowledged. `taken_at`: when its state was copied, by the monotonic clock.
  virtual void on_saved(std::int64_t /*bytes*/, Duration /*taken_at*/) {}
  virtual void on_save_failed() {}
  // Written, but a newer one took its place before the server heard of it.
  virtual void on_superseded() {}

  virtual void on_end(AttemptEnd) {}
};

// For an attempt that nobody else watches.
RunObserver& nobody();

}  // namespace ktrdr::worker
