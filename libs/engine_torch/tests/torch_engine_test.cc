#include "ktrdr/engine_torch/torch_engine.h"

#include <gmock/gmock.h>
#include <xmmintrin.h>

#include <filesystem>
#include <functional>
#include <limits>

#include "floating_point.h"
#include "ktrdr/core/testing/matchers.h"
#include "test_problem.h"

namespace ktrdr::engine_torch {
namespace {

using ::ktrdr::testing::FailsWith;
using ::ktrdr::testing::IsOk;
using ::ktrdr::testing::SaysError;
using ::testing::ElementsAre;
using ::testing::Key;
using ::testing::Pair;

using Shape = std::vector<std::int64_t>;

std::vector<std::pair<std::string, Shape>> layout_of(const checkpoints::TensorMap& tensors) {
  std::vector<std::pair<std::string, Shape>> layout;
  for (const checkpoints::TensorView& tensor : tensors.views())
    layout.emplace_back(tensor.name, tensor.shape);
  return layout;
}

// The state after a few steps of the usual training with one thing changed.
EngineState trained_with(const std::function<void(strategy::Strategy&)>& change, std::int64_t steps = 4) {
  const strategy::Dataset dataset = make_dataset();
  strategy::Strategy strategy = make_strategy();
  change(strategy);
  const auto engine = make_engine(strategy, dataset);
  train_steps(*engine, 0, steps);
  return state_of(*engine);
}

EngineState trained() {
  return trained_with([](strategy::Strategy&) {});
}

TEST(TorchEngine, NamesAndShapesAreThoseOfSequential) {
  const strategy::Dataset dataset = make_dataset();
  const auto engine = make_engine(make_strategy(), dataset);
  EXPECT_THAT(
      layout_of(state_of(*engine).model),
      ElementsAre(Pair("0.bias", Shape{8}), Pair("0.weight", Shape{8, 5}), Pair("3.bias", Shape{6}),
                  Pair("3.weight", Shape{6, 8}), Pair("6.bias", Shape{3}), Pair("6.weight", Shape{3, 6})));
  EXPECT_EQ(engine->parameter_count(), 8 * 5 + 8 + 6 * 8 + 6 + 3 * 6 + 3);
}

TEST(TorchEngine, NamesAreTheSameWithoutDropout) {
  strategy::Strategy strategy = make_strategy();
  strategy.model.dropout = 0;
  const strategy::Dataset dataset = make_dataset();
  EXPECT_TRUE(state_of(*make_engine(strategy, dataset)).model.contains("6.weight"));
}

TEST(TorchEngine, OptimizerStateIsTwoMomentsOfEachParameterAndOneStep) {
  const strategy::Dataset dataset = make_dataset();
  strategy::Strategy strategy = make_strategy();
  strategy.model.hidden_layers = {};
  EXPECT_THAT(layout_of(state_of(*make_engine(strategy, dataset)).optimizer),
              ElementsAre(Pair("0.bias.exp_avg", Shape{3}), Pair("0.bias.exp_avg_sq", Shape{3}),
                          Pair("0.weight.exp_avg", Shape{3, 5}), Pair("0.weight.exp_avg_sq", Shape{3, 5}),
                          Pair("step", Shape{})));
}

TEST(TorchEngine, OptimizerStateBeforeTheFirstStepIsZero) {
  const strategy::Dataset dataset = make_dataset();
  const EngineState state = state_of(*make_engine(make_strategy(), dataset));
  EXPECT_EQ(*state.optimizer.i64_scalar("step"), 0);
  EXPECT_THAT(values_of(state.optimizer, "3.weight.exp_avg"), ::testing::Each(0.0F));
  EXPECT_THAT(values_of(state.optimizer, "3.weight.exp_avg_sq"), ::testing::Each(0.0F));
}

TEST(TorchEngine, DropoutChangesTrainingButNotEvaluation) {
  const strategy::Dataset dataset = make_dataset();
  strategy::Strategy without = make_strategy();
  without.model.dropout = 0;
  const auto engine = make_engine(make_strategy(), dataset), plain = make_engine(without, dataset);
  EXPECT_EQ(*engine->evaluate(dataset.test, nullptr), *plain->evaluate(dataset.test, nullptr));
  train_steps(*engine, 0, 1);
  train_steps(*plain, 0, 1);
  EXPECT_NE(state_of(*engine), state_of(*plain));
}

TEST(TorchEngine, EverySettingOfTheOptimizerTakesEffect) {
  const EngineState usual = trained();
  EXPECT_EQ(trained(), usual);
  EXPECT_NE(trained_with([](auto& s) { s.training.optimizer.weight_decay = 0; }), usual);
  EXPECT_NE(trained_with([](auto& s) { s.training.optimizer.beta1 = 0.8; }), usual);
  EXPECT_NE(trained_with([](auto& s) { s.training.optimizer.beta2 = 0.99; }), usual);
  EXPECT_NE(trained_with([](auto& s) { s.training.optimizer.epsilon = 1e-6; }), usual);
  EXPECT_NE(trained_with([](auto& s) { s.training.gradient_clip = 0.01; }), usual);
  EXPECT_NE(trained_with([](auto& s) { s.model.activation = strategy::Activation::kTanh; }), usual);
}

TEST(TorchEngine, ALargeClipChangesNothing) {
  EXPECT_EQ(trained_with([](auto& s) { s.training.gradient_clip = 0; }),
            trained_with([](auto& s) { s.training.gradient_clip = 1e6; }));
}

TEST(TorchEngine, AMisfittingTensorIsRefusedAndChangesNothing) {
  const strategy::Dataset dataset = make_dataset();
  const auto engine = make_engine(make_strategy(), dataset);
  train_steps(*engine, 0, 2);
  const EngineState before = state_of(*engine);
  EngineState other = state_of(*make_engine(make_strategy(), dataset, 7));
  other.model.put_f32("6.bias", std::vector<float>{1, 2});
  other.optimizer.put_scalar("step", 1.0);
  EXPECT_THAT(engine->restore_model(other.model.views()), SaysError("6.bias"));
  EXPECT_THAT(engine->restore_optimizer(other.optimizer.views()), FailsWith(ErrorCode::kCheckpointCorrupted));
  EXPECT_EQ(state_of(*engine), before);
}

TEST(TorchEngine, EvaluationInChunksCountsEveryRowOnce) {
  strategy::Dataset dataset = make_dataset();
  const strategy::Dataset once = dataset;
  for (int copy = 0; copy < 40; ++copy) {  // more rows than two chunks
    dataset.features.insert(dataset.features.end(), once.features.begin(), once.features.end());
    dataset.labels.insert(dataset.labels.end(), once.labels.begin(), once.labels.end());
    dataset.rows += once.rows;
  }
  const auto engine = make_engine(make_strategy(), dataset);
  std::vector<std::int64_t> predictions = {9};  // what was there is dropped
  const auto all = engine->evaluate({0, dataset.rows}, &predictions);
  const auto first = engine->evaluate({0, once.rows}, nullptr);
  ASSERT_THAT(all, IsOk());
  EXPECT_EQ(all->count, dataset.rows);
  EXPECT_EQ(all->correct, 41 * first->correct);
  EXPECT_NEAR(all->plain_loss, 41 * first->plain_loss, 1e-4);
  ASSERT_EQ(predictions.size(), static_cast<std::size_t>(dataset.rows));
  std::int64_t correct = 0;
  for (std::size_t i = 0; i < predictions.size(); ++i) correct += predictions[i] == dataset.labels[i];
  EXPECT_EQ(correct, all->correct);
}

TEST(TorchEngine, EvaluationOfNoRowsIsZero) {
  const strategy::Dataset dataset = make_dataset();
  EXPECT_EQ(*make_engine(make_strategy(), dataset)->evaluate({10, 10}, nullptr), training::LossSums{});
}

TEST(TorchEngine, TwoEnginesInOneProcessDoNotDisturbEachOther) {
  const strategy::Dataset dataset = make_dataset();
  const auto one = make_engine(make_strategy(), dataset), two = make_engine(make_strategy(), dataset, 7);
  for (std::int64_t step = 0; step < 4; ++step) {
    train_steps(*one, step, step + 1);
    train_steps(*two, step, step + 1);
  }
  EXPECT_EQ(state_of(*one), trained());
  EXPECT_NE(state_of(*two), state_of(*one));
}

TEST(TorchEngine, ALossThatIsNotFiniteStopsBeforeTheOptimizer) {
  const strategy::Dataset dataset = make_dataset();
  const auto engine = make_engine(make_strategy(), dataset);
  checkpoints::TensorMap model = state_of(*engine).model;
  model.put_f32("6.bias", std::vector<float>{std::numeric_limits<float>::quiet_NaN(), 0, 0});
  ASSERT_THAT(engine->restore_model(model.views()), IsOk());
  const EngineState before = state_of(*engine);
  const auto sums = engine->train_batch(rows_of_step(0), 1234, 0.01);
  EXPECT_THAT(sums, FailsWith(ErrorCode::kInternal));
  EXPECT_THAT(sums, SaysError("The loss of step 1234"));
  EXPECT_EQ(state_of(*engine), before);
}

TEST(TorchEngine, AGradientThatIsNotFiniteStopsBeforeTheOptimizer) {
  strategy::Dataset dataset = make_dataset();
  for (float& value : dataset.features) value *= 1e30F;
  strategy::Strategy strategy = make_strategy();
  strategy.model.hidden_layers = {};
  const auto engine = make_engine(strategy, dataset);
  checkpoints::TensorMap zeros = state_of(*engine).model;
  zeros.add("0.weight", checkpoints::DType::kF32, Shape{3, 5});
  std::ranges::fill(zeros.mutable_bytes("0.weight"), std::byte{0});
  ASSERT_THAT(engine->restore_model(zeros.views()), IsOk());
  const EngineState before = state_of(*engine);
  EXPECT_THAT(engine->train_batch(rows_of_step(0), 5, 0.01), SaysError("The gradient of step 5"));
  EXPECT_EQ(state_of(*engine), before);
}

TEST(TorchEngine, WhatLibtorchThrowsIsAnError) {
  const strategy::Dataset dataset = make_dataset();
  strategy::Strategy strategy = make_strategy();
  strategy.training.optimizer.beta1 = 1.5;
  const auto engine = make_torch_engine_factory()->create(strategy, dataset, kSeed);
  EXPECT_THAT(engine, FailsWith(ErrorCode::kInternal));
  EXPECT_THAT(engine, SaysError("beta"));
}

TEST(TorchEngine, EveryCallTurnsFlushToZeroOn) {
  constexpr unsigned kBits = kFlushToZero | kDenormalsAreZero;
  const strategy::Dataset dataset = make_dataset();
  const auto turn_off = [] { _mm_setcsr(_mm_getcsr() & ~kBits); };
  const auto is_on = [] { return (_mm_getcsr() & kBits) == kBits; };
  turn_off();
  const auto engine = make_engine(make_strategy(), dataset);
  EXPECT_TRUE(is_on());
  turn_off();
  train_steps(*engine, 0, 1);
  EXPECT_TRUE(is_on());
  turn_off();
  ASSERT_THAT(engine->evaluate(dataset.test, nullptr), IsOk());
  EXPECT_TRUE(is_on());
}

TEST(TorchEngine, TrainingStartsNoThread) {
  const strategy::Dataset dataset = make_dataset();
  const auto engine = make_engine(make_strategy(), dataset);
  train_steps(*engine, 0, 2);
  const std::filesystem::directory_iterator threads("/proc/self/task");
  EXPECT_EQ(std::distance(begin(threads), end(threads)), 1);
}

TEST(TorchEngine, TheIdentityNamesEverythingThatCanChangeBits) {
  const strategy::Dataset dataset = make_dataset();
  const training::EngineIdentity identity = make_engine(make_strategy(), dataset)->identity();
  EXPECT_THAT(identity, ElementsAre(Key("architecture"), Key("blas"), Key("blas_core"), Key("cpu_capability"),
                                    Key("engine"), Key("engine_revision"), Key("engine_version"),
                                    Key("flush_denormal"), Key("libc"), Key("threads")));
  EXPECT_EQ(identity.at("engine"), "torch");
  EXPECT_EQ(identity.at("threads"), "1");
  EXPECT_EQ(identity.at("cpu_capability"), "AVX2");
}

}  // namespace
}  // namespace ktrdr::engine_torch
