// What a running training has to tell the server: filled by the training thread, sent by the heartbeat.
// Nothing is dropped before the server has acknowledged it, and acknowledging the same twice drops nothing
// more, so two heartbeats may be under way at once. Whatever it hears it passes on to `also`, who watches
// too. Safe from any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ktrdr/api/worker.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/core/synchronized.h"
#include "ktrdr/worker/run_observer.h"

namespace ktrdr::worker {

class RunReport final : public RunObserver {
 public:
  // `so_far`: what an earlier attempt had reported, shown until this one has something to tell.
  explicit RunReport(api::Progress so_far = {}, RunObserver& also = nobody())
      : also_(also), state_(Unsent{.progress = std::move(so_far)}) {}

  void on_begin() override { also_.on_begin(); }
  void on_progress(const api::Progress& progress, api::Phase phase) override;
  void on_checkpoint_begins() override { also_.on_checkpoint_begins(); }
  void on_checkpoint_pause(Duration pause) override;
  void on_epoch(const api::EpochMetrics& metrics) override;
  void on_history_restored(const std::vector<api::EpochMetrics>& history) override;
  void on_saved(std::int64_t bytes, Duration taken_at) override;
  void on_save_failed() override;
  void on_superseded() override { also_.on_superseded(); }
  void on_end(AttemptEnd end) override { also_.on_end(end); }

  void set_phase(api::Phase phase);
  void warn(std::string warning);
  void count_processor_time(std::chrono::nanoseconds used);
  api::CheckpointCounts checkpoint_counts() { return state_.lock()->checkpoint_counts; }

  struct Unsent {
    api::Phase phase = api::Phase::kPreparing;
    api::Progress progress;
    std::vector<api::EpochMetrics> epochs;
    std::vector<std::string> warnings;
    api::CheckpointCounts checkpoint_counts;
    std::size_t epochs_before = 0, warnings_before = 0;  // acknowledged earlier
  };
  Unsent unsent();
  void acknowledge(const Unsent& sent);
  bool is_all_sent();

 private:
  RunObserver& also_;
  Synchronized<Unsent> state_;
};

}  // namespace ktrdr::worker
