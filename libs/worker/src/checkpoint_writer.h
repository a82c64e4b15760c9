// The thread that takes a run's checkpoints through their pipeline, and the waiting for it: saves go on in
// the background while training does. Owned by the training thread.
#pragma once

#include <chrono>
#include <thread>

#include "ktrdr/training/checkpoint_sink.h"
#include "ktrdr/worker/checkpoint_pipeline.h"

namespace ktrdr::worker {

class CheckpointWriter final : public training::CheckpointSink {
 public:
  explicit CheckpointWriter(CheckpointPipeline& pipeline);
  ~CheckpointWriter() override;  // closes the pipeline

  bool idle() const override { return pipeline_.idle(); }
  void wait_until_idle() override;
  void save_in_background(const training::TrainingSnapshot& snapshot, api::CheckpointType type) override;
  std::chrono::nanoseconds background_cost() const override;
  Result<void> save_now(const training::TrainingSnapshot& snapshot, api::CheckpointType type) override;

 private:
  void run();

  CheckpointPipeline& pipeline_;
  mutable std::jthread thread_;  // native_handle() is not const
};

}  // namespace ktrdr::worker
