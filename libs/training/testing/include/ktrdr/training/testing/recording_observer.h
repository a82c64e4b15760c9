// Writes down everything that a training reports.
#pragma once

#include <utility>
#include <vector>

#include "ktrdr/training/training_observer.h"

namespace ktrdr::training::testing {

class RecordingObserver final : public TrainingObserver {
 public:
  std::vector<std::pair<api::Phase, api::Progress>> progress;
  std::vector<Duration> pauses;
  std::vector<api::EpochMetrics> epochs;
  std::vector<std::vector<api::EpochMetrics>> restored;

  void on_progress(const api::Progress& now, api::Phase phase) override { progress.emplace_back(phase, now); }
  void on_checkpoint_pause(Duration pause) override { pauses.push_back(pause); }
  void on_epoch(const api::EpochMetrics& metrics) override { epochs.push_back(metrics); }
  void on_history_restored(const std::vector<api::EpochMetrics>& history) override {
    restored.push_back(history);
  }
};

}  // namespace ktrdr::training::testing
