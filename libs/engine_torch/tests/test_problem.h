// The training that every test of this library runs, and the state of an engine in one comparable piece.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "ktrdr/engine_torch/torch_engine.h"
#include "ktrdr/training/testing/example_training.h"

namespace ktrdr::engine_torch {

inline constexpr std::int64_t kSeed = 42, kBatchSize = 32;

inline strategy::Dataset make_dataset() { return training::testing::example_dataset(240, 5); }

inline strategy::Strategy make_strategy() {
  strategy::Strategy strategy = training::testing::example_strategy();
  strategy.model.hidden_layers = {8, 6};
  return strategy;
}

// The rows of a step: every epoch in its own order, with a short batch at its end.
inline std::vector<std::int64_t> rows_of_step(std::int64_t step) {
  constexpr std::int64_t kTrainRows = 150, kSteps = (kTrainRows + kBatchSize - 1) / kBatchSize;
  const std::vector<std::int64_t> order = training::sample_order(kSeed, step / kSteps, kTrainRows);
  const std::int64_t begin = step % kSteps * kBatchSize;
  return {order.begin() + begin, order.begin() + std::min(begin + kBatchSize, kTrainRows)};
}

inline std::unique_ptr<training::Engine> make_engine(const strategy::Strategy& strategy,
                                                     const strategy::Dataset& dataset,
                                                     std::int64_t seed = kSeed) {
  auto engine = make_torch_engine_factory()->create(strategy, dataset, seed);
  CHECK(engine.ok(), "the engine of a test can be made");
  return std::move(engine).value();
}

inline void train_steps(training::Engine& engine, std::int64_t begin, std::int64_t end) {
  for (std::int64_t step = begin; step < end; ++step) {
    const auto sums = engine.train_batch(rows_of_step(step), step, 0.01);
    CHECK(sums.ok(), "a step of a test succeeds");
  }
}

struct EngineState {
  checkpoints::TensorMap model, optimizer;
  bool operator==(const EngineState&) const = default;
};

inline EngineState state_of(const training::Engine& engine) {
  EngineState state;
  engine.snapshot_model(state.model);
  engine.snapshot_optimizer(state.optimizer);
  return state;
}

inline std::vector<float> values_of(const checkpoints::TensorMap& tensors, const std::string& name) {
  const auto values = tensors.f32(name);
  CHECK(values.ok(), "the tensor of a test exists");
  return {values->begin(), values->end()};
}

}  // namespace ktrdr::engine_torch
