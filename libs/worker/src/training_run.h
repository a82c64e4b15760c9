// A run on threads of its own: the training, the heartbeat, the checkpoint writer. What it says to the server
// is its ClaimedAttempt's. New and resumed attempts are run alike (the seed's _execute_resumed_training).
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "ktrdr/core/synchronized.h"
#include "ktrdr/worker/claimed_attempt.h"
#include "ktrdr/worker/training_worker.h"

namespace ktrdr::worker {

class CheckpointWriter;

class TrainingRun final : public Run {
 public:
  // `on_end` is called from the training thread, as its last act.
  TrainingRun(WorkerParts parts, Assignment assignment, std::function<void()> on_end);
  ~TrainingRun() override;

  const OperationId& operation() const override { return attempt_.assignment().operation; }
  void look_for_cancel() override;
  void shut_down(Duration save_until, Duration give_up_at) override;
  bool ended() const override { return ended_; }
  bool wait_until_ended(Duration timeout) override;

 private:
  void run();
  void train();
  Result<training::FinishedTraining> train_with(CheckpointWriter& writer);
  void heartbeats();

  const WorkerParts parts_;
  ClaimedAttempt attempt_;
  const std::function<void()> on_end_;
  struct Life {
    bool training_ended = false;
    bool beat_now = false;
  };
  Synchronized<Life> life_;
  std::atomic<bool> ended_ = false;
  std::jthread heartbeat_thread_, training_thread_;
};

}  // namespace ktrdr::worker
