#include "ktrdr/training/testing/fake_engine.h"

#include <cmath>
#include <cstring>

#include "ktrdr/checkpoints/safetensors.h"
#include "ktrdr/core/check.h"
#include "ktrdr/strategy/labels.h"
#include "ktrdr/training/random.h"
#include "ktrdr/training/tensor_layout.h"

namespace ktrdr::training::testing {
namespace {

using checkpoints::TensorMap;
using checkpoints::TensorView;

constexpr auto kClasses = static_cast<std::size_t>(strategy::kLabelClasses);

// A parameter with its Adam moments.
struct Parameter {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> value, gradient, moment1, moment2;

  Parameter(std::string its_name, std::vector<std::int64_t> its_shape, std::size_t size)
      : name(std::move(its_name)),
        shape(std::move(its_shape)),
        value(size),
        gradient(size),
        moment1(size),
        moment2(size) {}
};

void put(TensorMap& map, const std::string& name, const Parameter& like, const std::vector<float>& values) {
  map.put(name, checkpoints::DType::kF32, like.shape, std::as_bytes(std::span(values)));
}

void get(const TensorMap& map, const std::string& name, std::vector<float>& values) {
  const auto found = map.f32(name);
  values.assign(found->begin(), found->end());
}

class FakeEngine final : public Engine {
 public:
  FakeEngine(const strategy::Strategy& strategy, const strategy::Dataset& dataset, std::int64_t seed)
      : strategy_(strategy),
        dataset_(dataset),
        seed_(seed),
        columns_(static_cast<std::size_t>(dataset.columns)),
        weight_("0.weight", {strategy::kLabelClasses, dataset.columns}, kClasses * columns_),
        bias_("0.bias", {strategy::kLabelClasses}, kClasses) {
    const double bound = 1 / std::sqrt(static_cast<double>(columns_));
    std::int64_t tensor = 0;
    for (Parameter* parameter : {&weight_, &bias_}) {
      initial_uniform(seed, tensor++, parameter->value);
      for (float& x : parameter->value) x = static_cast<float>(bound * (2 * static_cast<double>(x) - 1));
    }
  }

  const EngineIdentity& identity() const override { return identity_; }
  std::int64_t parameter_count() const override {
    return static_cast<std::int64_t>(weight_.value.size() + bias_.value.size());
  }

  Result<LossSums> train_batch(std::span<const std::int64_t> rows, std::int64_t global_step,
                               double learning_rate) override {
    std::vector<float> inputs(rows.size() * columns_);
    dropout_mask(seed_, global_step, 0, strategy_.model.dropout, inputs);
    LossSums sums;
    std::vector<std::vector<double>> errors;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      float* x = inputs.data() + i * columns_;
      for (std::size_t c = 0; c < columns_; ++c) x[c] *= features(rows[i])[c];
      errors.push_back(add_row(x, rows[i], sums, nullptr));
    }
    if (!std::isfinite(sums.weighted_loss)) {
      return Error(ErrorCode::kInternal,
                   "The loss is not finite at step " + std::to_string(global_step) + ".");
    }
    backward(inputs, errors, sums.weight);
    clip();
    adam(learning_rate);
    return sums;
  }

  Result<LossSums> evaluate(strategy::RowRange rows, std::vector<std::int64_t>* predictions) override {
    LossSums sums;
    if (predictions != nullptr) predictions->clear();
    for (std::int64_t row = rows.begin; row < rows.end; ++row) add_row(features(row), row, sums, predictions);
    return sums;
  }

  void snapshot_model(TensorMap& into) const override {
    for (const Parameter* parameter : {&weight_, &bias_})
      put(into, parameter->name, *parameter, parameter->value);
  }
  void snapshot_optimizer(TensorMap& into) const override {
    for (const Parameter* parameter : {&weight_, &bias_}) {
      put(into, parameter->name + ".exp_avg", *parameter, parameter->moment1);
      put(into, parameter->name + ".exp_avg_sq", *parameter, parameter->moment2);
    }
    into.put_scalar("step", adam_steps_);
  }

  Result<void> restore_model(std::span<const TensorView> tensors) override {
    TensorMap expected;
    snapshot_model(expected);
    TRY(check_same_layout(expected.views(), tensors));
    const TensorMap from = checkpoints::to_tensor_map(tensors);
    for (Parameter* parameter : {&weight_, &bias_}) get(from, parameter->name, parameter->value);
    return {};
  }
  Result<void> restore_optimizer(std::span<const TensorView> tensors) override {
    TensorMap expected;
    snapshot_optimizer(expected);
    TRY(check_same_layout(expected.views(), tensors));
    const TensorMap from = checkpoints::to_tensor_map(tensors);
    for (Parameter* parameter : {&weight_, &bias_}) {
      get(from, parameter->name + ".exp_avg", parameter->moment1);
      get(from, parameter->name + ".exp_avg_sq", parameter->moment2);
    }
    adam_steps_ = *from.i64_scalar("step");
    return {};
  }

 private:
  const float* features(std::int64_t row) const {
    return dataset_.features.data() + static_cast<std::size_t>(row) * columns_;
  }

  // Forward for one row; the gradient of its weighted loss by the logits.
  std::vector<double> add_row(const float* x, std::int64_t row, LossSums& sums,
                              std::vector<std::int64_t>* predictions) const {
    double logits[kClasses], total = 0;
    std::size_t largest = 0;
    for (std::size_t k = 0; k < kClasses; ++k) {
      logits[k] = static_cast<double>(bias_.value[k]);
      for (std::size_t c = 0; c < columns_; ++c) {
        logits[k] += static_cast<double>(weight_.value[k * columns_ + c]) * static_cast<double>(x[c]);
      }
      if (logits[k] > logits[largest]) largest = k;
    }
    for (const double logit : logits) total += std::exp(logit - logits[largest]);
    const std::int64_t label = dataset_.labels[static_cast<std::size_t>(row)];
    const auto weight = static_cast<double>(dataset_.class_weights[static_cast<std::size_t>(label)]);
    const double loss = std::log(total) - (logits[label] - logits[largest]);
    sums += {weight * loss, weight, loss, static_cast<std::int64_t>(largest) == label, 1};
    if (predictions != nullptr) predictions->push_back(static_cast<std::int64_t>(largest));
    std::vector<double> error;
    for (std::size_t k = 0; k < kClasses; ++k) {
      const double p = std::exp(logits[k] - logits[largest]) / total;
      error.push_back(weight * (p - (static_cast<std::int64_t>(k) == label ? 1 : 0)));
    }
    return error;
  }

  void backward(const std::vector<float>& inputs, const std::vector<std::vector<double>>& errors,
                double weight) {
    for (std::size_t k = 0; k < kClasses; ++k) {
      double bias = 0;
      for (const auto& error : errors) bias += error[k];
      bias_.gradient[k] = static_cast<float>(bias / weight);
      for (std::size_t c = 0; c < columns_; ++c) {
        double sum = 0;
        for (std::size_t i = 0; i < errors.size(); ++i) {
          sum += errors[i][k] * static_cast<double>(inputs[i * columns_ + c]);
        }
        weight_.gradient[k * columns_ + c] = static_cast<float>(sum / weight);
      }
    }
  }

  void clip() {
    const double limit = strategy_.training.gradient_clip;
    double squares = 0;
    for (const Parameter* parameter : {&weight_, &bias_}) {
      for (const float g : parameter->gradient) squares += static_cast<double>(g) * static_cast<double>(g);
    }
    const double scale = limit / (std::sqrt(squares) + 1e-6);
    if (limit <= 0 || scale >= 1) return;
    for (Parameter* parameter : {&weight_, &bias_}) {
      for (float& g : parameter->gradient) g = static_cast<float>(static_cast<double>(g) * scale);
    }
  }

  void adam(double learning_rate) {
    const strategy::Optimizer& rule = strategy_.training.optimizer;
    ++adam_steps_;
    const double correction1 = 1 - std::pow(rule.beta1, static_cast<double>(adam_steps_));
    const double correction2 = 1 - std::pow(rule.beta2, static_cast<double>(adam_steps_));
    for (Parameter* parameter : {&weight_, &bias_}) {
      for (std::size_t i = 0; i < parameter->value.size(); ++i) {
        const auto w = static_cast<double>(parameter->value[i]);
        const double g = static_cast<double>(parameter->gradient[i]) + rule.weight_decay * w;
        const double m = rule.beta1 * static_cast<double>(parameter->moment1[i]) + (1 - rule.beta1) * g;
        const double v = rule.beta2 * static_cast<double>(parameter->moment2[i]) + (1 - rule.beta2) * g * g;
        parameter->moment1[i] = static_cast<float>(m);
        parameter->moment2[i] = static_cast<float>(v);
        const double step = learning_rate * (m / correction1) / (std::sqrt(v / correction2) + rule.epsilon);
        parameter->value[i] = static_cast<float>(w - step);
      }
    }
  }

  const strategy::Strategy& strategy_;
  const strategy::Dataset& dataset_;
  std::int64_t seed_;
  std::size_t columns_;
  Parameter weight_, bias_;
  std::int64_t adam_steps_ = 0;
  EngineIdentity identity_ = {{"engine", "fake"}, {"threads", "1"}};
};

}  // namespace

Result<std::unique_ptr<Engine>> FakeEngineFactory::create(const strategy::Strategy& strategy,
                                                          const strategy::Dataset& dataset,
                                                          std::int64_t seed) {
  return std::unique_ptr<Engine>(std::make_unique<FakeEngine>(strategy, dataset, seed));
}

}  // namespace ktrdr::training::testing
