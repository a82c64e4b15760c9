// Keeps checkpoints in memory. A background save copies its snapshot only when the test says so, and then
// checks that the trainer has not touched it meanwhile.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "ktrdr/core/check.h"
#include "ktrdr/training/checkpoint_sink.h"

namespace ktrdr::training::testing {

struct SavedCheckpoint {
  api::CheckpointType type = api::CheckpointType::kPeriodic;
  bool in_background = false;
  TrainingSnapshot snapshot;
};

class MemoryCheckpointSink final : public CheckpointSink {
 public:
  std::vector<SavedCheckpoint> saved;
  std::optional<Error> fail_with;  // what save_now() answers instead of saving
  bool background_is_slow =
      false;  // then a background save lasts until finish_background() or wait_until_idle()

  std::chrono::nanoseconds background_cost_so_far{0};  // what a test says it was

  std::chrono::nanoseconds background_cost() const override { return background_cost_so_far; }
  bool idle() const override { return reading_ == nullptr; }
  void wait_until_idle() override { finish_background(); }

  void save_in_background(const TrainingSnapshot& snapshot, api::CheckpointType type) override {
    CHECK(idle(), "one background save at a time");
    saved.push_back({type, true, copy_of(snapshot)});
    reading_ = &snapshot;
    if (!background_is_slow) finish_background();
  }

  Result<void> save_now(const TrainingSnapshot& snapshot, api::CheckpointType type) override {
    CHECK(idle(), "the snapshot of a background save would be overwritten");
    if (fail_with) return *fail_with;
    saved.push_back({type, false, copy_of(snapshot)});
    return {};
  }

  void finish_background() {
    if (idle()) return;
    const TrainingSnapshot& then = last_in_background();
    CHECK(reading_->model == then.model && reading_->optimizer == then.optimizer &&
              reading_->trainer == then.trainer && best_of(*reading_) == best_of(then),
          "the trainer leaves a snapshot alone while it is being saved");
    reading_ = nullptr;
  }

 private:
  // With a best model of its own, so that it is seen when the trainer changes the one that it shares.
  static TrainingSnapshot copy_of(const TrainingSnapshot& snapshot) {
    TrainingSnapshot copy = snapshot;
    if (copy.best_model) copy.best_model = std::make_shared<const checkpoints::TensorMap>(*copy.best_model);
    return copy;
  }
  static checkpoints::TensorMap best_of(const TrainingSnapshot& snapshot) {
    return snapshot.best_model ? *snapshot.best_model : checkpoints::TensorMap();
  }

  const TrainingSnapshot& last_in_background() const {
    std::size_t i = saved.size();
    while (!saved[i - 1].in_background) --i;
    return saved[i - 1].snapshot;
  }

  const TrainingSnapshot* reading_ = nullptr;
};

}  // namespace ktrdr::training::testing
