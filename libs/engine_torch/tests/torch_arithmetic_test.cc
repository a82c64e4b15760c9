// The numbers of a step against arithmetic done by hand and against a second implementation in double.
#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <numeric>

#include "ktrdr/core/testing/matchers.h"
#include "loss_sums.h"
#include "test_problem.h"

namespace ktrdr::engine_torch {
namespace {

using ::ktrdr::testing::IsOk;
using strategy::Activation;
using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

// ---- two inputs, two hidden, two classes, one row: every number is worked out on paper ----

struct TinyNet {
  strategy::Dataset dataset;
  strategy::Strategy strategy;
  checkpoints::TensorMap model;

  TinyNet() {
    dataset.rows = 1;
    dataset.columns = 2;
    dataset.features = {1, 2};
    dataset.labels = {0};
    dataset.class_weights = {1, 1};
    strategy.model = {.hidden_layers = {2}, .dropout = 0, .activation = Activation::kRelu};
    strategy.training.optimizer.weight_decay = 0;
    strategy.training.gradient_clip = 0;
    model = state_of(*make_engine(strategy, dataset)).model;
    set("0.weight", {0.5F, -0.25F, 0.25F, 0.5F});
    set("0.bias", {0.1F, -0.2F});
    set("3.weight", {1, -1, 0.5F, 2});
    set("3.bias", {0, 0.1F});
  }

  void set(const std::string& name, const std::vector<float>& values) {
    std::ranges::copy(std::as_bytes(std::span(values)), model.mutable_bytes(name).begin());
  }

  std::unique_ptr<training::Engine> engine() const {
    auto made = make_engine(strategy, dataset);
    EXPECT_THAT(made->restore_model(model.views()), IsOk());
    return made;
  }
};

// The hidden layer is [0.1, 1.05], the logits are [-0.95, 2.25], so p0 = 1 / (1 + e^3.2).
constexpr double kLoss = 3.2399533331624304;

TEST(TorchArithmetic, TheForwardPassIsThatOnPaper) {
  const TinyNet net;
  std::vector<std::int64_t> predictions;
  const auto sums = net.engine()->evaluate({0, 1}, &predictions);
  ASSERT_THAT(sums, IsOk());
  EXPECT_NEAR(sums->plain_loss, kLoss, 1e-6);
  EXPECT_NEAR(sums->weighted_loss, kLoss, 1e-6);
  EXPECT_EQ(sums->weight, 1);
  EXPECT_EQ(sums->correct, 0);
  EXPECT_THAT(predictions, ElementsAre(1));
}

TEST(TorchArithmetic, TheGradientsAreThoseOnPaper) {
  TinyNet net;
  net.strategy.training.optimizer.beta1 = 0;  // the first moment then is the gradient
  const auto engine = net.engine();
  EXPECT_NEAR(engine->train_batch(std::vector<std::int64_t>{0}, 0, 0.1)->plain_loss, kLoss, 1e-6);
  const checkpoints::TensorMap moments = state_of(*engine).optimizer;
  const auto gradient = [&](const std::string& name) { return values_of(moments, name + ".exp_avg"); };
  EXPECT_THAT(gradient("3.bias"), Pointwise(FloatNear(1e-6F), {-0.96083428F, 0.96083428F}));
  EXPECT_THAT(gradient("3.weight"),
              Pointwise(FloatNear(1e-6F), {-0.09608343F, -1.00887599F, 0.09608343F, 1.00887599F}));
  EXPECT_THAT(gradient("0.bias"), Pointwise(FloatNear(1e-6F), {-0.48041714F, 2.88250283F}));
  EXPECT_THAT(gradient("0.weight"),
              Pointwise(FloatNear(1e-6F), {-0.48041714F, -0.96083428F, 2.88250283F, 5.76500566F}));
}

TEST(TorchArithmetic, TheFirstStepOfAdamMovesEachWeightByTheLearningRate) {
  const TinyNet net;
  const auto engine = net.engine();
  ASSERT_THAT(engine->train_batch(std::vector<std::int64_t>{0}, 0, 0.1), IsOk());
  EXPECT_THAT(values_of(state_of(*engine).model, "0.weight"),
              Pointwise(FloatNear(1e-6F), {0.6F, -0.15F, 0.15F, 0.4F}));
}

TEST(TorchArithmetic, ClippingScalesTheWholeGradientToItsNorm) {
  TinyNet net;
  net.strategy.training.optimizer.beta1 = 0;
  net.strategy.training.gradient_clip = 0.5;
  const auto engine = net.engine();
  ASSERT_THAT(engine->train_batch(std::vector<std::int64_t>{0}, 0, 0.1), IsOk());
  double squares = 0;
  for (const std::string name : {"0.weight", "0.bias", "3.weight", "3.bias"}) {
    for (const float g : values_of(state_of(*engine).optimizer, name + ".exp_avg")) squares += double{g} * g;
  }
  EXPECT_NEAR(std::sqrt(squares), 0.5, 1e-6);
}

// ---- a second implementation, straight from the formulas, in double ----

struct Parameter {
  std::vector<double> value, gradient, average, square;
};

class Reference {
 public:
  Reference(const strategy::Strategy& strategy, const strategy::Dataset& dataset, const EngineState& initial)
      : strategy_(strategy), dataset_(dataset) {
    for (const checkpoints::TensorView& tensor : initial.model.views()) {
      const std::vector<float> values = values_of(initial.model, tensor.name);
      Parameter& parameter = parameters_[tensor.name];
      parameter.value.assign(values.begin(), values.end());
      parameter.average = parameter.square = std::vector<double>(values.size());
    }
  }

  // Returns the weighted loss summed over the rows.
  double train_batch(std::span<const std::int64_t> rows, std::int64_t global_step, double learning_rate) {
    for (auto& [name, parameter] : parameters_) parameter.gradient.assign(parameter.value.size(), 0);
    draw_masks(rows.size(), global_step);
    double total_weight = 0, loss = 0;
    for (const std::int64_t row : rows) total_weight += weight_of(row);
    for (std::size_t i = 0; i < rows.size(); ++i) loss += add_gradients(i, rows[i], total_weight);
    clip();
    ++step_;
    for (auto& [name, parameter] : parameters_) adam(parameter, learning_rate);
    return loss;
  }

  const std::vector<double>& values(const std::string& name) const { return parameters_.at(name).value; }

 private:
  using Vector = std::vector<double>;

  double weight_of(std::int64_t row) const {
    return double{dataset_.class_weights[static_cast<std::size_t>(label_of(row))]};
  }
  std::int64_t label_of(std::int64_t row) const { return dataset_.labels[static_cast<std::size_t>(row)]; }
  Parameter& of(std::size_t layer, const std::string& kind) {
    return parameters_.at(std::to_string(3 * layer) + "." + kind);
  }
  std::size_t hidden_layers() const { return strategy_.model.hidden_layers.size(); }

  void draw_masks(std::size_t rows, std::int64_t global_step) {
    masks_.assign(hidden_layers(), {});
    for (std::size_t layer = 0; layer < hidden_layers(); ++layer) {
      masks_[layer].resize(rows * static_cast<std::size_t>(strategy_.model.hidden_layers[layer]));
      training::dropout_mask(kSeed, global_step, static_cast<std::int64_t>(layer), strategy_.model.dropout,
                             masks_[layer]);
    }
  }

  // Value and derivative at x.
  std::pair<double, double> activation(double x) const {
    switch (strategy_.model.activation) {
      case Activation::kRelu: return x > 0 ? std::pair{x, 1.0} : std::pair{0.0, 0.0};
      case Activation::kTanh: return {std::tanh(x), 1 - std::tanh(x) * std::tanh(x)};
      case Activation::kSigmoid: {
        const double y = 1 / (1 + std::exp(-x));
        return {y, y * (1 - y)};
      }
      case Activation::kLeakyRelu: return x > 0 ? std::pair{x, 1.0} : std::pair{0.01 * x, 0.01};
    }
    return {};
  }

  Vector linear(std::size_t layer, const Vector& input) {
    Vector output = of(layer, "bias").value;
    const Vector& weight = of(layer, "weight").value;
    for (std::size_t o = 0; o < output.size(); ++o) {
      for (std::size_t i = 0; i < input.size(); ++i) output[o] += weight[o * input.size() + i] * input[i];
    }
    return output;
  }

  // Adds to the gradients of a layer and returns the gradient of its input.
  Vector backward(std::size_t layer, const Vector& input, const Vector& output_gradient) {
    Parameter &weight = of(layer, "weight"), &bias = of(layer, "bias");
    Vector input_gradient(input.size());
    for (std::size_t o = 0; o < output_gradient.size(); ++o) {
      bias.gradient[o] += output_gradient[o];
      for (std::size_t i = 0; i < input.size(); ++i) {
        weight.gradient[o * input.size() + i] += output_gradient[o] * input[i];
        input_gradient[i] += output_gradient[o] * weight.value[o * input.size() + i];
      }
    }
    return input_gradient;
  }

  double add_gradients(std::size_t place, std::int64_t row, double total_weight) {
    const float* x = dataset_.features.data() + row * dataset_.columns;
    std::vector<Vector> inputs = {Vector(x, x + dataset_.columns)}, slopes;
    for (std::size_t layer = 0; layer < hidden_layers(); ++layer) {
      Vector hidden = linear(layer, inputs.back()), slope(hidden.size());
      for (std::size_t i = 0; i < hidden.size(); ++i) {
        const double mask = double{masks_[layer][place * hidden.size() + i]};
        const auto [value, derivative] = activation(hidden[i]);
        hidden[i] = value * mask;
        slope[i] = derivative * mask;
      }
      inputs.push_back(hidden);
      slopes.push_back(slope);
    }
    Vector gradient = linear(hidden_layers(), inputs.back());
    for (double& logit : gradient) logit = std::exp(logit);
    const double sum = std::accumulate(gradient.begin(), gradient.end(), 0.0);
    const auto label = static_cast<std::size_t>(label_of(row));
    const double loss = -std::log(gradient[label] / sum);
    for (std::size_t k = 0; k < gradient.size(); ++k) {
      gradient[k] = (gradient[k] / sum - (k == label ? 1 : 0)) * weight_of(row) / total_weight;
    }
    for (std::size_t layer = hidden_layers() + 1; layer-- > 0;) {
      gradient = backward(layer, inputs[layer], gradient);
      for (std::size_t i = 0; layer > 0 && i < gradient.size(); ++i) gradient[i] *= slopes[layer - 1][i];
    }
    return weight_of(row) * loss;
  }

  void clip() {
    if (strategy_.training.gradient_clip <= 0) return;
    double squares = 0;
    for (const auto& [name, parameter] : parameters_) {
      for (const double g : parameter.gradient) squares += g * g;
    }
    const double scale = std::min(1.0, strategy_.training.gradient_clip / (std::sqrt(squares) + 1e-6));
    for (auto& [name, parameter] : parameters_) {
      for (double& g : parameter.gradient) g *= scale;
    }
  }

  // Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, with L2 decay in the gradient.
  void adam(Parameter& p, double learning_rate) const {
    const strategy::Optimizer& o = strategy_.training.optimizer;
    for (std::size_t i = 0; i < p.value.size(); ++i) {
      const double gradient = p.gradient[i] + o.weight_decay * p.value[i];
      p.average[i] = o.beta1 * p.average[i] + (1 - o.beta1) * gradient;
      p.square[i] = o.beta2 * p.square[i] + (1 - o.beta2) * gradient * gradient;
      const double average = p.average[i] / (1 - std::pow(o.beta1, step_));
      const double square = p.square[i] / (1 - std::pow(o.beta2, step_));
      p.value[i] -= learning_rate * average / (std::sqrt(square) + o.epsilon);
    }
  }

  const strategy::Strategy& strategy_;
  const strategy::Dataset& dataset_;
  std::map<std::string, Parameter> parameters_;
  std::vector<std::vector<float>> masks_;
  double step_ = 0;
};

class TorchArithmeticOf : public ::testing::TestWithParam<std::tuple<Activation, double>> {};

TEST_P(TorchArithmeticOf, SeveralStepsFollowTheFormulas) {
  const strategy::Dataset dataset = make_dataset();
  strategy::Strategy strategy = make_strategy();
  std::tie(strategy.model.activation, strategy.model.dropout) = GetParam();
  strategy.training.gradient_clip = 0.2;  // takes effect in most steps
  strategy.training.optimizer.weight_decay = 0.01;
  strategy.training.optimizer.epsilon = 1e-4;  // a gradient of nearly 0 has no sign to compare
  const auto engine = make_engine(strategy, dataset);
  Reference reference(strategy, dataset, state_of(*engine));
  for (std::int64_t step = 0; step < 12; ++step) {
    const std::vector<std::int64_t> rows = rows_of_step(step);
    const auto sums = engine->train_batch(rows, step, 0.01);
    ASSERT_THAT(sums, IsOk());
    EXPECT_NEAR(sums->weighted_loss, reference.train_batch(rows, step, 0.01), 1e-4);
    EXPECT_EQ(sums->count, static_cast<std::int64_t>(rows.size()));
  }
  const checkpoints::TensorMap model = state_of(*engine).model;
  for (const checkpoints::TensorView& tensor : model.views()) {
    const std::vector<float> values = values_of(model, tensor.name);
    const std::vector<double>& expected = reference.values(tensor.name);
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(double{values[i]}, expected[i], 2e-5) << tensor.name;
  }
}

INSTANTIATE_TEST_SUITE_P(EveryActivation, TorchArithmeticOf,
                         ::testing::Combine(::testing::Values(Activation::kRelu, Activation::kTanh,
                                                              Activation::kSigmoid, Activation::kLeakyRelu),
                                            ::testing::Values(0.0, 0.3)));

// ---- the sums ----

TEST(LossSums, AddUpWeightedAndPlainLossInTheOrderOfTheRows) {
  const std::vector<float> logits = {2, 1, 0, 3}, log_probabilities = {-0.25F, -1.5F, -4, -0.125F};
  const std::vector<std::int64_t> labels = {0, 0};
  const std::vector<float> class_weights = {0.5F, 2};
  std::vector<std::int64_t> predictions = {7};
  const training::LossSums sums = sum_up(logits, log_probabilities, labels, class_weights, &predictions);
  EXPECT_EQ(sums, (training::LossSums{
                      .weighted_loss = 2.125, .weight = 1, .plain_loss = 4.25, .correct = 1, .count = 2}));
  EXPECT_THAT(predictions, ElementsAre(7, 0, 1));
}

TEST(LossSums, OfEqualLogitsTheFirstIsPredicted) {
  const std::vector<float> logits = {1, 3, 3}, log_probabilities = {-2, -1, -1};
  std::vector<std::int64_t> predictions;
  sum_up(logits, log_probabilities, std::vector<std::int64_t>{2}, std::vector<float>{1, 1, 1}, &predictions);
  EXPECT_THAT(predictions, ElementsAre(1));
}

}  // namespace
}  // namespace ktrdr::engine_torch
