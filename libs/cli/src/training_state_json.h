// training_state.json: what a training in Python needs beside the tensors of model.pt and optimizer.pt.
#pragma once

#include <string>

#include "ktrdr/checkpoints/verified_checkpoint.h"
#include "ktrdr/strategy/strategy.h"
#include "ktrdr/training/trainer_state.h"

namespace ktrdr::cli {

struct TrainingState {
  strategy::Strategy strategy;
  training::TrainerState state;
};

// kCheckpointCorrupted as training::read_trainer_state(); kUnsupported when the checkpoint has no strategy of
// this version.
Result<TrainingState> read_training_state(const checkpoints::VerifiedCheckpoint& checkpoint);

// One line of JSON, equal for equal checkpoints. The numbers read back as the same float64, class weights as
// the same float32; what is not finite is null.
std::string training_state_json(const checkpoints::VerifiedCheckpoint& checkpoint,
                                const TrainingState& training);

}  // namespace ktrdr::cli
