// A training whose state has 300 MB: model, both moments of Adam and the best model, each 75 MB. The weights
// are real ones on the real engine.
#pragma once

#include <memory>
#include <vector>

#include "ktrdr/training/best_model.h"
#include "ktrdr/training/snapshot.h"

namespace ktrdr::bench {

class LargeTraining {
 public:
  LargeTraining();

  std::unique_ptr<training::Engine> make_engine() const;
  training::Engine& engine() { return *engine_; }
  const training::TrainerState& state() const { return state_; }
  std::shared_ptr<const checkpoints::TensorMap> best_model() const { return best_model_.share(); }

  void take(training::TrainingSnapshot& into) const;  // what ModelTrainer does at a checkpoint

  static std::size_t bytes_of(const training::TrainingSnapshot& snapshot);

 private:
  strategy::Strategy strategy_;
  strategy::Dataset dataset_;
  std::unique_ptr<training::Engine> engine_;
  training::TrainerState state_;
  training::BestModel best_model_;
};

}  // namespace ktrdr::bench
