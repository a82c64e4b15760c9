#include "recipe.h"

#include <cmath>

#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/core/check.h"
#include "ktrdr/core/digest.h"
#include "ktrdr/training/testing/example_training.h"
#include "ktrdr/training/testing/fake_engine.h"
#include "ktrdr/training/testing/memory_checkpoint_sink.h"
#include "ktrdr/training/testing/recording_observer.h"

namespace ktrdr::simulator {
namespace {

struct Size {
  std::int64_t epochs = 0, rows = 0, batch_size = 0;
};
struct Saving {
  std::int64_t every_epochs = 0;
  double every_seconds = 0;
};

Recipe make(std::int64_t seed, const Size& size, const Saving& saving) {
  Recipe recipe;
  recipe.strategy = training::testing::example_strategy();
  recipe.strategy.training.epochs = size.epochs;
  recipe.strategy.training.batch_size = size.batch_size;
  recipe.dataset = training::testing::example_dataset(size.rows);
  recipe.request = {.strategy_name = "example",
                    .strategy_yaml = "name: example\n",
                    .symbol = "EURUSD",
                    .timeframe = "1h",
                    .seed = seed,
                    .checkpoint_every_epochs = saving.every_epochs,
                    .checkpoint_every_seconds = saving.every_seconds};
  return recipe;
}

void train_undisturbed(Recipe& recipe) {
  const SystemClock clock;
  training::testing::FakeEngineFactory engines;
  auto engine = engines.create(recipe.strategy, recipe.dataset, recipe.request.seed);
  CHECK(engine.ok(), "a recipe makes an engine");
  training::testing::MemoryCheckpointSink sink;
  training::testing::RecordingObserver observer;
  training::ModelTrainer trainer(clock, **engine, recipe.strategy, recipe.dataset, sink, observer,
                                 trainer_options(recipe));
  auto outcome = trainer.train(training::StopSignal());
  CHECK(outcome.ok(), "a recipe can be trained");
  const auto finished = finish(std::move(*outcome));
  CHECK(finished.ok(), "a recipe has an end");
  recipe.model_sha256 = sha256_of(finished->files);
  recipe.history = finished->outcome.metrics.history;
}

std::vector<Recipe> make_all() {
  std::vector<Recipe> all = {make(1, {.epochs = 3, .rows = 40, .batch_size = 16}, {.every_epochs = 1}),
                             make(2, {.epochs = 2, .rows = 60, .batch_size = 8}, {.every_seconds = 4}),
                             make(3, {.epochs = 4, .rows = 30, .batch_size = 16}, {.every_epochs = 2}),
                             make(4, {.epochs = 1, .rows = 60, .batch_size = 16}, {.every_seconds = 3})};
  all[2].strategy.training.early_stopping = strategy::EarlyStopping{.patience = 1};
  for (Recipe& recipe : all) train_undisturbed(recipe);
  return all;
}

}  // namespace

const std::vector<Recipe>& recipes() {
  static const std::vector<Recipe> all = make_all();
  return all;
}

const Recipe& recipe_of(const api::TrainingRequest& request) {
  for (const Recipe& recipe : recipes()) {
    if (recipe.request.seed == request.seed) return recipe;
  }
  CHECK(false, "every request of a simulation is a recipe's");
  return recipes().front();
}

training::ModelTrainerOptions trainer_options(const Recipe& recipe) {
  training::ModelTrainerOptions options{.seed = recipe.request.seed};
  options.checkpoints = {.every_epochs = recipe.request.checkpoint_every_epochs,
                         .every = Duration(std::llround(recipe.request.checkpoint_every_seconds * 1000))};
  return options;
}

std::map<std::string, std::string> identity_of(const Recipe& recipe, const training::Engine& engine) {
  std::map<std::string, std::string> identity = engine.identity();
  identity["seed"] = std::to_string(recipe.request.seed);
  identity["data_fingerprint"] = recipe.dataset.fingerprint;
  return identity;
}

Result<training::FinishedTraining> finish(training::TrainingOutcome outcome) {
  training::FinishedTraining finished{.outcome = std::move(outcome)};
  if (finished.outcome.kind != training::TrainingOutcome::Kind::kCompleted) return finished;
  TRY_ASSIGN(checkpoints::FileContent model,
             checkpoints::tensor_file(std::string(checkpoints::kModelFile), finished.outcome.model));
  finished.files.push_back(std::move(model));
  return finished;
}

std::string sha256_of(std::span<const checkpoints::FileContent> files) {
  Sha256 digest;
  for (const auto& piece : files.front().pieces()) digest.update(piece);
  return digest.hex();
}

}  // namespace ktrdr::simulator
