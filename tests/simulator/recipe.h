// The trainings of the simulations: small, real (ModelTrainer on the engine in plain C++), and with a known
// end, that of the run that nobody disturbed.
#pragma once

#include <string>
#include <vector>

#include "ktrdr/api/operation.h"
#include "ktrdr/api/training.h"
#include "ktrdr/strategy/dataset.h"
#include "ktrdr/strategy/strategy.h"
#include "ktrdr/training/local_training_orchestrator.h"

namespace ktrdr::simulator {

struct Recipe {
  strategy::Strategy strategy;
  strategy::Dataset dataset;
  api::TrainingRequest request;
  std::string model_sha256;                // of the undisturbed run
  std::vector<api::EpochMetrics> history;  // likewise
};

const std::vector<Recipe>& recipes();
// By the seed, which names it in a request.
const Recipe& recipe_of(const api::TrainingRequest& request);

training::ModelTrainerOptions trainer_options(const Recipe& recipe);
std::map<std::string, std::string> identity_of(const Recipe& recipe, const training::Engine& engine);
// What a run that ended so hands over. Borrows like FinishedTraining.
Result<training::FinishedTraining> finish(training::TrainingOutcome outcome);
std::string sha256_of(std::span<const checkpoints::FileContent> files);

}  // namespace ktrdr::simulator
