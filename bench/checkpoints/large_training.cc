#include "large_training.h"

#include "ktrdr/core/check.h"
#include "ktrdr/engine_torch/torch_engine.h"
#include "ktrdr/training/testing/example_training.h"

namespace ktrdr::bench {
namespace {

constexpr std::int64_t kRows = 64, kColumns = 128, kSeed = 42;

strategy::Strategy large_strategy() {
  strategy::Strategy strategy = training::testing::example_strategy();
  strategy.model.hidden_layers = {4096, 4440};  // 18.7 million parameters of 4 bytes
  strategy.training.batch_size = kRows / 2;
  return strategy;
}

}  // namespace

LargeTraining::LargeTraining()
    : strategy_(large_strategy()),
      dataset_(training::testing::example_dataset(kRows, kColumns)),
      engine_(make_engine()),
      state_(training::initial_state(strategy_.training, dataset_, kSeed)) {
  const std::vector<std::int64_t> rows = {0, 1, 2, 3};
  CHECK(engine_->train_batch(rows, 0, 0.001).ok(),
        "a model learns from four rows");  // Adam's moments are set
  state_.global_step = 1;
  state_.position = {.start_epoch = 1};
  state_.best = {.epoch = 0, .validation_loss = 1};
  state_.history.push_back({.epoch = 0, .val_loss = 1});
  best_model_.remember(*engine_);
}

std::unique_ptr<training::Engine> LargeTraining::make_engine() const {
  auto engine = engine_torch::make_torch_engine_factory()->create(strategy_, dataset_, kSeed);
  CHECK(engine.ok(), "there is memory for a large engine");
  return *std::move(engine);
}

void LargeTraining::take(training::TrainingSnapshot& into) const {
  take_snapshot(*engine_, state_, best_model(), into);
}

std::size_t LargeTraining::bytes_of(const training::TrainingSnapshot& snapshot) {
  const auto files = snapshot_files(snapshot);
  CHECK(files.ok(), "a snapshot has files");
  std::size_t bytes = 0;
  for (const checkpoints::FileContent& file : *files) {
    for (const auto& piece : file.body) bytes += piece.size();
  }
  return bytes;
}

}  // namespace ktrdr::bench
