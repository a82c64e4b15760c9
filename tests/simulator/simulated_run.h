// A run on fibers, where TrainingRun has threads: the real ClaimedAttempt, CheckpointPipeline and
// ModelTrainer, with an engine whose batches take simulated time.
#pragma once

#include "cluster.h"
#include "ktrdr/worker/claimed_attempt.h"

namespace ktrdr::simulator {

class SimulatedRun final : public worker::Run, public std::enable_shared_from_this<SimulatedRun> {
 public:
  // Everything outlives it.
  SimulatedRun(Cluster& cluster, ProcessPtr process, worker::ServerApi& server,
               checkpoints::CheckpointStore& files, worker::Assignment assignment);
  void begin();

  const OperationId& operation() const override { return attempt_.assignment().operation; }
  void look_for_cancel() override { beat_now_ = true; }
  void shut_down(Duration save_until, Duration give_up_at) override {
    attempt_.shut_down(save_until, give_up_at);
  }
  bool ended() const override { return ended_; }
  bool wait_until_ended(Duration timeout) override;

 private:
  void train();
  Result<training::FinishedTraining> train_with(training::CheckpointSink& sink);
  void write_checkpoints();
  void heartbeats();

  Cluster& cluster_;
  World& world_;
  const ProcessPtr process_;
  worker::ClaimedAttempt attempt_;
  bool training_ended_ = false, beat_now_ = false, ended_ = false;
};

}  // namespace ktrdr::simulator
