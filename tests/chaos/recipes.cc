#include "recipes.h"

#include "ktrdr/core/digest.h"
#include "ktrdr/strategy/testing/market_generator.h"
#include "ktrdr/strategy/testing/strategy_text.h"

namespace ktrdr::chaos {
namespace {

using system_test::demanding_strategy;
using system_test::TestSystem;

constexpr Duration kLongestTraining = std::chrono::minutes(3);

std::string quick_strategy(std::int64_t epochs, const std::string& more_training) {
  return strategy::testing::strategy_text(
      {.symbol = "TEST", .epochs = epochs, .batch_size = 64, .more_training = more_training});
}

std::vector<Recipe> recipes() {
  return {
      {.name = "demanding", .wish = {.strategy_yaml = demanding_strategy(20), .seed = 7}, .undisturbed = {}},
      {.name = "another seed",
       .wish = {.strategy_yaml = demanding_strategy(14), .seed = 8, .checkpoint_every_epochs = 1},
       .undisturbed = {}},
      {.name = "stepped",
       .wish = {.strategy_yaml =
                    quick_strategy(40, "  lr_scheduler: {type: step, step_size: 4, gamma: 0.7}\n"),
                .seed = 9,
                .checkpoint_every_seconds = 0.1},
       .undisturbed = {}},
      {.name = "short",
       .wish = {.strategy_yaml = quick_strategy(12, ""), .seed = 10, .checkpoint_every_epochs = 1},
       .undisturbed = {}},
  };
}

}  // namespace

std::vector<Recipe> trained_recipes() {
  TestSystem system({.lease_seconds = 10});
  std::vector<Recipe> list = recipes();
  for (Recipe& recipe : list) {
    const OperationId id = system.start_training(recipe.wish);
    recipe.undisturbed =
        outcome_of(system.wait_for_status(id, api::OperationStatus::kCompleted, kLongestTraining));
    CHECK(recipe.undisturbed.epochs > 0, "an undisturbed training completes");
  }
  return list;
}

void write_market(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  strategy::testing::write_market(
      folder, strategy::testing::make_market({.symbol = "TEST", .rows = 6000, .seed = 11}));
}

Outcome outcome_of(const api::Operation& operation) {
  Outcome outcome;
  if (!operation.result_summary || !operation.metrics) return outcome;
  auto result = api::from_json<api::TrainingResult>(operation.result_summary->text);
  if (!result.ok()) return outcome;
  const auto digest = sha256_of_file(std::filesystem::path(result->model_path) / "model.safetensors");
  if (digest.ok() && *digest == result->model_sha256) outcome.model_sha256 = *digest;
  result->model_path.clear();
  outcome.result = api::to_json(*result);
  outcome.metrics = api::to_json(*operation.metrics);
  outcome.epochs = static_cast<std::int64_t>(operation.metrics->epochs.size());
  return outcome;
}

}  // namespace ktrdr::chaos
