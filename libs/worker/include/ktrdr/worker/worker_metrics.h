// What a worker's trainings and checkpoints come to, for Prometheus; docs/metrics.md says what each metric
// means. It only listens: it can't change a training, and nothing in it runs once a batch.
//
// Owned by the process, outlives its attempts and the registry's last scrape; safe from any thread.
#pragma once

#include <functional>
#include <optional>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/synchronized.h"
#include "ktrdr/metrics/registry.h"
#include "ktrdr/worker/run_observer.h"

namespace ktrdr::worker {

// Only differences count. Finer than Clock, because training waits less than a millisecond for a checkpoint.
using Stopwatch = std::function<std::chrono::nanoseconds()>;

class WorkerMetrics final : public RunObserver {
 public:
  WorkerMetrics(const Clock& clock, Stopwatch stopwatch, metrics::Registry& registry);

  void on_begin() override;
  void on_progress(const api::Progress& progress, api::Phase phase) override;
  void on_checkpoint_begins() override;
  void on_checkpoint_pause(Duration pause) override;
  void on_epoch(const api::EpochMetrics& metrics) override;
  void on_saved(std::int64_t bytes, Duration taken_at) override;
  void on_save_failed() override;
  void on_superseded() override;
  void on_end(AttemptEnd end) override;

 private:
  // The attempt in progress.
  struct Attempt {
    bool is_active = false;
    bool trains = false;                           // by its last phase
    Duration counted_until{0};                     // of the time that it trained
    std::optional<std::int64_t> samples, batches;  // of the whole run, as told last
    Duration safe_until{0};                        // what came later, a crash would cost
    std::chrono::nanoseconds stands_since{0};      // for its last checkpoint
  };

  // One for each way in which an attempt can end.
  struct Ends {
    explicit Ends(metrics::Registry& registry);
    metrics::Counter& of(AttemptEnd end);
    metrics::Counter completed, failed, cancelled, handed_back, refused, unheard;
  };

  void count_training(Attempt& attempt);
  void bring_up_to_date();

  const Clock& clock_;
  const Stopwatch stopwatch_;
  Synchronized<Attempt> attempt_;

  metrics::Gauge active_;
  metrics::Counter training_seconds_, samples_, batches_, epochs_;
  Ends ends_;
  metrics::Counter committed_, failed_, superseded_, bytes_;
  metrics::Histogram pause_, commit_;
  metrics::Gauge checkpoint_age_;
};

}  // namespace ktrdr::worker
