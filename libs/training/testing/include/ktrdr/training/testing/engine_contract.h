// The contract of Engine and EngineFactory: every engine must pass it. In a test of an engine's library:
//
//   INSTANTIATE_TEST_SUITE_P(Torch, EngineContract, ::testing::Values(EngineMaker{
//       "torch", [] { return std::unique_ptr<EngineFactory>(std::make_unique<TorchEngineFactory>()); }}));
//
// in namespace ktrdr::training::testing, with this header in exactly one .cc file of the test program.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/training/engine.h"
#include "ktrdr/training/random.h"
#include "ktrdr/training/testing/example_training.h"

namespace ktrdr::training::testing {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;

struct EngineMaker {
  std::string name;
  std::function<std::unique_ptr<EngineFactory>()> make;

  friend void PrintTo(const EngineMaker& maker, std::ostream* out) { *out << maker.name; }
};

// All the bits of an engine.
struct EngineBits {
  checkpoints::TensorMap model, optimizer;

  explicit EngineBits(const Engine& engine) {
    engine.snapshot_model(model);
    engine.snapshot_optimizer(optimizer);
  }
  bool operator==(const EngineBits&) const = default;
};

class EngineContract : public ::testing::TestWithParam<EngineMaker> {
 protected:
  static constexpr std::int64_t kSeed = 42;
  static constexpr double kRate = 0.01;

  std::unique_ptr<Engine> create(std::int64_t seed = kSeed) { return create_on(dataset_, seed); }
  std::unique_ptr<Engine> create_on(const strategy::Dataset& dataset, std::int64_t seed = kSeed) {
    auto engine = factory_->create(strategy_, dataset, seed);
    EXPECT_THAT(engine, IsOk());
    return std::move(engine).value();
  }

  // The batch of a step: 16 training rows in a fixed, shuffled order.
  std::vector<std::int64_t> rows_of(std::int64_t step) const {
    std::vector<std::int64_t> rows = sample_order(1, step, dataset_.train.size());
    rows.resize(16);
    return rows;
  }

  LossSums train(Engine& engine, std::int64_t step) {
    const auto sums = engine.train_batch(rows_of(step), step, kRate);
    EXPECT_THAT(sums, IsOk());
    return *sums;
  }
  void train(Engine& engine, std::int64_t begin, std::int64_t end) {
    for (std::int64_t step = begin; step < end; ++step) train(engine, step);
  }

  LossSums evaluate(Engine& engine, strategy::RowRange rows) {
    const auto sums = engine.evaluate(rows, nullptr);
    EXPECT_THAT(sums, IsOk());
    return *sums;
  }

  // The model variants that a strategy can ask for.
  std::vector<strategy::Model> variants() const {
    using strategy::Activation;
    return {{.hidden_layers = {8}, .dropout = 0.2, .activation = Activation::kRelu},
            {.hidden_layers = {16, 8}, .dropout = 0.5, .activation = Activation::kTanh},
            {.hidden_layers = {5}, .dropout = 0, .activation = Activation::kSigmoid},
            {.hidden_layers = {7, 6, 5}, .dropout = 0.1, .activation = Activation::kLeakyRelu}};
  }

  void expect_continues_exactly(std::int64_t stop_at, std::int64_t end) {
    const auto undisturbed = create();
    train(*undisturbed, 0, end);
    const auto stopped = create();
    train(*stopped, 0, stop_at);
    const EngineBits saved(*stopped);
    const auto resumed = create(kSeed);
    ASSERT_THAT(resumed->restore_model(saved.model.views()), IsOk());
    ASSERT_THAT(resumed->restore_optimizer(saved.optimizer.views()), IsOk());
    EXPECT_EQ(EngineBits(*resumed), saved);
    train(*resumed, stop_at, end);
    EXPECT_EQ(EngineBits(*resumed), EngineBits(*undisturbed)) << "stopped at step " << stop_at;
  }

  std::unique_ptr<EngineFactory> factory_ = GetParam().make();
  strategy::Strategy strategy_ = example_strategy();
  strategy::Dataset dataset_ = example_dataset();
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EngineContract);

TEST_P(EngineContract, EqualCallsLeaveEqualBits) {
  const auto one = create(), other = create();
  EXPECT_EQ(EngineBits(*one), EngineBits(*other));
  for (std::int64_t step = 0; step < 10; ++step) EXPECT_EQ(train(*one, step), train(*other, step));
  EXPECT_EQ(EngineBits(*one), EngineBits(*other));
}

TEST_P(EngineContract, AnEarlierEngineLeavesNoTrace) {
  const auto before = create();
  train(*before, 0, 5);
  const EngineBits expected(*before);
  train(*create(7), 0, 3);
  const auto after = create();
  train(*after, 0, 5);
  EXPECT_EQ(EngineBits(*after), expected);
}

TEST_P(EngineContract, AnotherSeedGivesOtherWeights) {
  EXPECT_NE(EngineBits(*create(1)).model, EngineBits(*create(2)).model);
}

// tensor t, element i = (2 u - 1) / sqrt(fan_in), with the tensors in the order of the layers, weight before
// bias.
TEST_P(EngineContract, InitialWeightsFollowTheFormula) {
  const EngineBits bits(*create());
  std::int64_t tensor = 0;
  for (int layer = 0; layer < 100; ++layer) {
    const std::string prefix = std::to_string(layer);
    const auto weight = bits.model.find(prefix + ".weight");
    if (!weight) continue;
    const double bound = 1 / std::sqrt(static_cast<double>(weight->shape.at(1)));
    for (const char* part : {".weight", ".bias"}) {
      const auto values = *bits.model.f32(prefix + part);
      std::vector<float> uniform(values.size());
      initial_uniform(kSeed, tensor++, uniform);
      for (std::size_t i = 0; i < values.size(); ++i) {
        EXPECT_NEAR(values[i], bound * (2 * static_cast<double>(uniform[i]) - 1), 1e-6)
            << prefix << part << i;
      }
    }
  }
  EXPECT_GE(tensor, 2);
}

TEST_P(EngineContract, TheParameterCountIsTheNumberOfWeights) {
  const auto engine = create();
  std::size_t values = 0;
  for (const auto& tensor : EngineBits(*engine).model.views()) values += tensor.bytes.size() / sizeof(float);
  EXPECT_EQ(static_cast<std::size_t>(engine->parameter_count()), values);
}

TEST_P(EngineContract, ARestoredEngineGoesOnBitForBitFromEveryStep) {
  for (std::int64_t stop_at = 0; stop_at <= 12; ++stop_at) expect_continues_exactly(stop_at, 12);
}

TEST_P(EngineContract, EveryKindOfModelGoesOnBitForBit) {
  for (const strategy::Model& model : variants()) {
    strategy_.model = model;
    expect_continues_exactly(5, 9);
  }
}

TEST_P(EngineContract, ARestoreReplacesEverythingThatWasTrained) {
  const auto fresh = create();
  const EngineBits start(*fresh);
  train(*fresh, 0, 3);
  const EngineBits expected(*fresh);
  ASSERT_NE(expected, start);
  const auto used = create(99);
  train(*used, 0, 7);
  ASSERT_THAT(used->restore_model(start.model.views()), IsOk());
  ASSERT_THAT(used->restore_optimizer(start.optimizer.views()), IsOk());
  EXPECT_EQ(EngineBits(*used), start);
}

TEST_P(EngineContract, ASnapshotIsACopy) {
  const auto engine = create();
  train(*engine, 0);
  const EngineBits taken(*engine);
  const EngineBits same(*engine);
  train(*engine, 1);
  EXPECT_EQ(taken, same);
  EXPECT_NE(taken, EngineBits(*engine));
}

TEST_P(EngineContract, TakingASnapshotAgainReusesItsMemory) {
  const auto engine = create();
  EngineBits bits(*engine);
  const auto* model = bits.model.views().front().bytes.data();
  const auto* optimizer = bits.optimizer.views().front().bytes.data();
  train(*engine, 0);
  engine->snapshot_model(bits.model);
  engine->snapshot_optimizer(bits.optimizer);
  EXPECT_EQ(bits.model.views().front().bytes.data(), model);
  EXPECT_EQ(bits.optimizer.views().front().bytes.data(), optimizer);
  EXPECT_EQ(bits, EngineBits(*engine));
}

// What may come back from a checkpoint, each wrong in one way.
inline std::vector<checkpoints::TensorMap> wrong_maps(const checkpoints::TensorMap& right) {
  using checkpoints::DType;
  std::vector<checkpoints::TensorMap> wrong(5);
  for (const auto& tensor : right.views()) {
    const bool last = tensor.name == right.views().back().name;
    if (!last) wrong[0].put(tensor.name, tensor.dtype, tensor.shape, tensor.bytes);  // one is missing
    wrong[1].put(last ? tensor.name + "x" : tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
    wrong[2].put(tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
    if (last) {
      wrong[3].add(tensor.name, tensor.dtype == DType::kF64 ? DType::kI64 : DType::kF64, tensor.shape);
      std::vector<std::int64_t> shape = tensor.shape;
      shape.push_back(2);
      wrong[4].add(tensor.name, tensor.dtype, shape);
    } else {
      wrong[3].put(tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
      wrong[4].put(tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
    }
  }
  wrong[2].put_scalar("nobody_knows_me", 1.0);
  return wrong;
}

TEST_P(EngineContract, ARestoreRefusesWhatDoesNotFitAndChangesNothing) {
  const auto donor = create(3);
  train(*donor, 0, 4);
  const EngineBits given(*donor);
  const auto engine = create();
  train(*engine, 0, 2);
  const EngineBits before(*engine);
  for (const auto& wrong : wrong_maps(given.model)) {
    EXPECT_THAT(engine->restore_model(wrong.views()), FailsWith(ErrorCode::kCheckpointCorrupted));
  }
  for (const auto& wrong : wrong_maps(given.optimizer)) {
    EXPECT_THAT(engine->restore_optimizer(wrong.views()), FailsWith(ErrorCode::kCheckpointCorrupted));
  }
  EXPECT_THAT(engine->restore_model({}), FailsWith(ErrorCode::kCheckpointCorrupted));
  EXPECT_EQ(EngineBits(*engine), before);
}

TEST_P(EngineContract, EvaluatingHasNoSideEffects) {
  const auto one = create(), other = create();
  for (std::int64_t step = 0; step < 6; ++step) {
    const LossSums sums = evaluate(*one, dataset_.validation);
    EXPECT_EQ(evaluate(*one, dataset_.validation), sums);
    EXPECT_EQ(train(*one, step), train(*other, step));
  }
  EXPECT_EQ(EngineBits(*one), EngineBits(*other));
}

TEST_P(EngineContract, EvaluatingDependsOnTheWeightsOnly) {
  const auto trained = create();
  train(*trained, 0, 3);
  ASSERT_THAT(trained->train_batch(std::vector<std::int64_t>{5}, 3, kRate), IsOk());  // another size of batch
  const auto fresh = create(11);
  ASSERT_THAT(fresh->restore_model(EngineBits(*trained).model.views()), IsOk());
  EXPECT_EQ(evaluate(*fresh, dataset_.validation), evaluate(*trained, dataset_.validation));
}

TEST_P(EngineContract, EvaluatingAnswersForExactlyItsRows) {
  const auto engine = create();
  train(*engine, 0, 5);
  std::vector<std::int64_t> predictions = {1, 2, 3};
  const auto sums = engine->evaluate(dataset_.test, &predictions);
  ASSERT_THAT(sums, IsOk());
  ASSERT_EQ(static_cast<std::int64_t>(predictions.size()), dataset_.test.size());
  std::int64_t correct = 0;
  double weight = 0;
  for (std::int64_t row = dataset_.test.begin; row < dataset_.test.end; ++row) {
    const std::int64_t label = dataset_.labels[static_cast<std::size_t>(row)];
    correct += predictions[static_cast<std::size_t>(row - dataset_.test.begin)] == label;
    weight += static_cast<double>(dataset_.class_weights[static_cast<std::size_t>(label)]);
  }
  EXPECT_EQ(sums->correct, correct);
  EXPECT_EQ(sums->count, dataset_.test.size());
  EXPECT_NEAR(sums->weight, weight, 1e-5);
}

TEST_P(EngineContract, PartsOfARangeAddUpToTheWhole) {
  const auto engine = create();
  LossSums parts = evaluate(*engine, {84, 91});
  parts += evaluate(*engine, {91, 102});
  const LossSums whole = evaluate(*engine, {84, 102});
  EXPECT_EQ(parts.correct, whole.correct);
  EXPECT_EQ(parts.count, whole.count);
  EXPECT_NEAR(parts.weighted_loss, whole.weighted_loss, 1e-5);
  EXPECT_NEAR(parts.plain_loss, whole.plain_loss, 1e-5);
}

TEST_P(EngineContract, LearningReducesTheLoss) {
  const auto engine = create();
  const double before = evaluate(*engine, dataset_.train).mean_loss();
  train(*engine, 0, 200);
  EXPECT_LT(evaluate(*engine, dataset_.train).mean_loss(), 0.85 * before);
}

TEST_P(EngineContract, ALearningRateOfZeroMovesNoWeight) {
  const auto engine = create();
  const EngineBits before(*engine);
  ASSERT_THAT(engine->train_batch(rows_of(0), 0, 0), IsOk());
  EXPECT_EQ(EngineBits(*engine).model, before.model);
  EXPECT_NE(EngineBits(*engine).optimizer, before.optimizer);
}

TEST_P(EngineContract, DropoutIsAFunctionOfTheStep) {
  strategy_.model.dropout = 0.5;
  const auto one = create(), same = create(), other = create();
  const auto rows = rows_of(0);
  const LossSums first = *one->train_batch(rows, 3, kRate);
  EXPECT_EQ(*same->train_batch(rows, 3, kRate), first);
  EXPECT_NE(*other->train_batch(rows, 4, kRate), first);
  EXPECT_NE(EngineBits(*one), EngineBits(*other));
}

TEST_P(EngineContract, WithoutDropoutTheStepDoesNotMatter) {
  strategy_.model.dropout = 0;
  const auto one = create(), other = create();
  EXPECT_EQ(*one->train_batch(rows_of(0), 3, kRate), *other->train_batch(rows_of(0), 4, kRate));
  EXPECT_EQ(EngineBits(*one), EngineBits(*other));
}

TEST_P(EngineContract, OnlyTheGivenRowsMatter) {
  const std::vector<std::int64_t> rows = {3, 50, 7, 21};
  strategy::Dataset changed = dataset_;
  for (std::int64_t row = 0; row < changed.rows; ++row) {
    if (std::find(rows.begin(), rows.end(), row) != rows.end()) continue;
    for (std::int64_t c = 0; c < changed.columns; ++c) {
      changed.features[static_cast<std::size_t>(row * changed.columns + c)] += 1;
    }
  }
  const auto one = create(), other = create_on(changed);
  EXPECT_EQ(*one->train_batch(rows, 0, kRate), *other->train_batch(rows, 0, kRate));
  EXPECT_EQ(EngineBits(*one), EngineBits(*other));
}

TEST_P(EngineContract, TheOrderOfRowsMovesNothingButTheLastBits) {
  strategy_.model.dropout = 0;
  const auto one = create(), other = create();
  const std::vector<std::int64_t> rows = {3, 50, 7, 21}, turned = {21, 7, 50, 3};
  const LossSums a = *one->train_batch(rows, 0, kRate), b = *other->train_batch(turned, 0, kRate);
  EXPECT_EQ(a.correct, b.correct);
  EXPECT_NEAR(a.weighted_loss, b.weighted_loss, 1e-5);
  EXPECT_NEAR(a.weight, b.weight, 1e-9);
}

TEST_P(EngineContract, ALossThatIsNotFiniteIsAnErrorThatNamesTheStep) {
  strategy::Dataset broken = dataset_;
  broken.features[5 * static_cast<std::size_t>(broken.columns)] = std::numeric_limits<float>::quiet_NaN();
  strategy_.model.dropout = 0;
  const auto engine = create_on(broken);
  const auto sums = engine->train_batch(std::vector<std::int64_t>{4, 5, 6}, 17, kRate);
  EXPECT_THAT(sums, FailsWith(ErrorCode::kInternal));
  EXPECT_THAT(sums, ktrdr::testing::SaysError("17"));
}

TEST_P(EngineContract, TheIdentityIsTheSameForEveryEngineOfAFactory) {
  EXPECT_FALSE(create()->identity().empty());
  EXPECT_EQ(create(1)->identity(), create(2)->identity());
}

}  // namespace ktrdr::training::testing
