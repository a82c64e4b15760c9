// How a step is made fast without leaving libtorch: all parameters are one flat tensor, all gradients
// another, and the layers' tensors are views of them. Clipping and Adam then handle one tensor whatever the
// depth, and at these sizes libtorch's time goes into the number of operations, not of numbers (1.5 times
// fewer microseconds a step). Adam works on each number alone, so its bits are the same as with a tensor per
// layer.
//
// Why a step's bits depend on its inputs alone: random numbers come from random.h, never from libtorch's
// generator; one thread; flush-to-zero on; sums for the trainer in loss_sums.cc. What else could change them
// is in the identity.
// clip_grad.h needs types.h before it.
#include <torch/types.h>

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adam.h>
#include <torch/version.h>
#undef CHECK  // glog's, which libtorch brings along; ours follows

#include <gnu/libc-version.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "blas.h"
#include "floating_point.h"
#include "ktrdr/core/check.h"
#include "ktrdr/core/log.h"
#include "ktrdr/engine_torch/torch_engine.h"
#include "ktrdr/engine_torch/torch_environment.h"
#include "ktrdr/training/random.h"
#include "loss_sums.h"
#include "model_layout.h"
#include "tensor_slot.h"

namespace ktrdr::engine_torch {
namespace {

using checkpoints::DType;
using checkpoints::TensorMap;
using checkpoints::TensorView;
using strategy::Activation;
using strategy::Dataset;
using strategy::Strategy;
using training::EngineIdentity;
using training::LossSums;

// Part of the numbers: another size makes other matrix products.
constexpr std::int64_t kEvaluationRows = 4096;

// Raise it with every change of this library that changes a bit of any result.
constexpr const char* kRevision = "1";

// libtorch throws; nothing above this file catches.
template <class Work>
auto without_exceptions(const std::string& attempted, const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const c10::Error& error) {
    return Error(ErrorCode::kInternal, error.what_without_backtrace()).while_doing(attempted);
  } catch (const std::exception& error) {
    return Error(ErrorCode::kInternal, error.what()).while_doing(attempted);
  }
}

std::span<float> floats_of(const torch::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

// ---- what can change bits ----

// The line "CPU capability usage: AVX2" of libtorch's description of itself; there is no function for it.
std::string cpu_capability() {
  constexpr std::string_view kLabel = "CPU capability usage: ";
  const std::string description = at::show_config();
  const std::size_t label = description.find(kLabel);
  if (label == std::string::npos) return "unknown";
  const std::size_t begin = label + kLabel.size();
  return description.substr(begin, description.find('\n', begin) - begin);
}

EngineIdentity read_identity() {
  const Blas blas = loaded_blas();
  return {{"engine", "torch"},
          {"engine_revision", kRevision},
          {"engine_version", TORCH_VERSION},
          {"blas", blas.library},
          {"blas_core", blas.core},
          {"cpu_capability", cpu_capability()},
          {"threads", std::to_string(at::get_num_threads())},
          {"flush_denormal", "on"},
          {"libc", std::string("glibc ") + gnu_get_libc_version()},  // exp, log and pow of libm
          {"architecture", "x86_64"}};
}

void warn_about_surroundings() {
  if (const Blas blas = loaded_blas(); !blas.optimized) {
    log(LogLevel::kWarning, "libtorch multiplies with a slow BLAS; install libopenblas0-serial",
        {{"blas", blas.library}});
  }
  if (!environment_is_pinned()) {
    log(LogLevel::kWarning,
        "this process was not started in the pinned environment; its checkpoints may not fit other machines");
  }
}

void prepare_process_once() {
  static const bool kDone = [] {
    at::set_num_interop_threads(1);  // throws when called twice
    warn_about_surroundings();
    return true;
  }();
  static_cast<void>(kDone);
}

// libtorch keeps the number of threads per thread, so each that makes an engine sets it.
void prepare_thread() {
  at::set_num_threads(1);
  flush_denormals();
}

// ---- the parts of an engine ----

torch::Tensor activate(Activation activation, const torch::Tensor& input) {
  switch (activation) {
    case Activation::kRelu: return torch::relu(input);
    case Activation::kTanh: return torch::tanh(input);
    case Activation::kSigmoid: return torch::sigmoid(input);
    case Activation::kLeakyRelu: return torch::leaky_relu(input, 0.01);
  }
  CHECK(false, "the switch names every activation");
  return input;
}

// A view of a part of `flat`, detached so that autograd takes it for a parameter of its own.
torch::Tensor view_of(const torch::Tensor& flat, const ParameterLayout& part) {
  return flat.narrow(0, static_cast<std::int64_t>(part.offset), static_cast<std::int64_t>(part.count))
      .view(part.shape)
      .detach();
}

// The model: one flat tensor and the layers' views of it. Not movable, because the views and the snapshot's
// slots point into it.
class Perceptron {
 public:
  Perceptron(const strategy::Model& model, std::int64_t inputs, std::int64_t classes, std::int64_t seed)
      : activation_(model.activation), layout_(lay_out(model, inputs, classes)) {
    parameters_ = torch::empty({static_cast<std::int64_t>(count_of(layout_))});
    initialise(layout_, seed, floats_of(parameters_));
    parameters_.mutable_grad() = torch::zeros_like(parameters_);
    for (const ParameterLayout& part : layout_) {
      views_.push_back(view_of(parameters_, part).requires_grad_());
      views_.back().mutable_grad() = view_of(parameters_.grad(), part);  // backward() adds in place
    }
  }
  Perceptron(const Perceptron&) = delete;
  Perceptron& operator=(const Perceptron&) = delete;

  // Logits [rows, classes]. `masks` holds one dropout mask per hidden layer, or none.
  torch::Tensor forward(torch::Tensor rows, const std::vector<torch::Tensor>& masks) const {
    const std::size_t hidden_layers = views_.size() / 2 - 1;
    for (std::size_t layer = 0; layer < hidden_layers; ++layer) {
      rows = activate(activation_, torch::linear(rows, views_[2 * layer], views_[2 * layer + 1]));
      if (!masks.empty()) rows = rows * masks[layer];
    }
    return torch::linear(rows, views_[2 * hidden_layers], views_[2 * hidden_layers + 1]);
  }

  const std::vector<ParameterLayout>& layout() const { return layout_; }
  const torch::Tensor& parameters() const { return parameters_; }  // [count], its grad() is all gradients
  void clear_gradients() { parameters_.mutable_grad().zero_(); }

 private:
  Activation activation_;
  std::vector<ParameterLayout> layout_;
  torch::Tensor parameters_;
  std::vector<torch::Tensor> views_;  // weight, bias, weight, bias, ...
};

// torch::optim::Adam on one flat tensor. Its state is made here and not in its first step, so that there is
// always something to save, and so that a snapshot before the first step is a real state.
class FlatAdam {
 public:
  FlatAdam(const torch::Tensor& parameters, const strategy::Training& settings)
      : adam_({parameters}, options_of(settings)) {
    auto state = std::make_unique<torch::optim::AdamParamState>();
    state->exp_avg(torch::zeros_like(parameters));
    state->exp_avg_sq(torch::zeros_like(parameters));
    state_ = state.get();
    adam_.state()[c10::guts::to_string(parameters.unsafeGetTensorImpl())] = std::move(state);
  }

  void step(double learning_rate) {
    adam_.param_groups().front().options().set_lr(learning_rate);
    adam_.step();
  }

  torch::optim::AdamParamState& state() { return *state_; }

 private:
  static torch::optim::AdamOptions options_of(const strategy::Training& settings) {
    const strategy::Optimizer& optimizer = settings.optimizer;
    return torch::optim::AdamOptions(settings.learning_rate)
        .betas({optimizer.beta1, optimizer.beta2})
        .eps(optimizer.epsilon)
        .weight_decay(optimizer.weight_decay);
  }

  torch::optim::Adam adam_;
  torch::optim::AdamParamState* state_ = nullptr;  // owned by adam_
};

// The rows of one step, gathered into memory that is kept while batches have the same size.
class Batch {
 public:
  Batch(const Dataset& dataset, std::vector<std::int64_t> hidden_layers, double dropout)
      : dataset_(dataset), hidden_layers_(std::move(hidden_layers)), dropout_(dropout) {}

  void fill(std::span<const std::int64_t> rows) {
    resize(static_cast<std::int64_t>(rows.size()));
    float* features = features_.data_ptr<float>();
    std::int64_t* labels = labels_.data_ptr<std::int64_t>();
    const auto columns = static_cast<std::size_t>(dataset_.columns);
    for (const std::int64_t row : rows) {
      CHECK(row >= 0 && row < dataset_.rows, "the trainer names rows of the dataset");
      const auto index = static_cast<std::size_t>(row);
      features = std::copy_n(dataset_.features.data() + index * columns, columns, features);
      *labels++ = dataset_.labels[index];
    }
  }

  void draw_masks(std::int64_t seed, std::int64_t global_step) {
    for (std::size_t layer = 0; layer < masks_.size(); ++layer) {
      training::dropout_mask(seed, global_step, static_cast<std::int64_t>(layer), dropout_,
                             floats_of(masks_[layer]));
    }
  }

  const torch::Tensor& features() const { return features_; }  // [rows, columns]
  const torch::Tensor& labels() const { return labels_; }      // [rows]
  const std::vector<torch::Tensor>& masks() const {
    return masks_;
  }  // [rows, width] each; none without dropout
  std::span<const std::int64_t> label_values() const {
    return {labels_.data_ptr<std::int64_t>(), static_cast<std::size_t>(labels_.numel())};
  }

 private:
  void resize(std::int64_t rows) {
    if (labels_.defined() && labels_.numel() == rows) return;
    features_ = torch::empty({rows, dataset_.columns});
    labels_ = torch::empty({rows}, torch::kInt64);
    masks_.clear();
    if (dropout_ <= 0) return;
    for (const std::int64_t width : hidden_layers_) masks_.push_back(torch::empty({rows, width}));
  }

  const Dataset& dataset_;
  std::vector<std::int64_t> hidden_layers_;
  double dropout_;
  torch::Tensor features_, labels_;
  std::vector<torch::Tensor> masks_;
};

// ---- the engine ----

Error not_finite(std::string_view what, std::int64_t global_step) {
  return {ErrorCode::kInternal, "The " + std::string(what) + " of step " + std::to_string(global_step) +
                                    " is not a finite number; try a smaller learning rate."};
}

class TorchEngine final : public training::Engine {
 public:
  TorchEngine(const Strategy& strategy, const Dataset& dataset, std::int64_t seed)
      : dataset_(dataset),
        seed_(seed),
        gradient_clip_(strategy.training.gradient_clip),
        identity_(read_identity()),
        // libtorch has no tensor of constants; nothing here writes to these two.
        features_(
            torch::from_blob(const_cast<float*>(dataset.features.data()), {dataset.rows, dataset.columns})),
        class_weights_(torch::from_blob(const_cast<float*>(dataset.class_weights.data()),
                                        {static_cast<std::int64_t>(dataset.class_weights.size())})),
        model_(strategy.model, dataset.columns, static_cast<std::int64_t>(dataset.class_weights.size()),
               seed),
        adam_(model_.parameters(), strategy.training),
        batch_(dataset, strategy.model.hidden_layers, strategy.model.dropout) {
    add_slots("", model_.parameters(), model_slots_);
    add_slots(".exp_avg", adam_.state().exp_avg(), optimizer_slots_);
    add_slots(".exp_avg_sq", adam_.state().exp_avg_sq(), optimizer_slots_);
    optimizer_slots_.push_back(
        {"step", DType::kI64, {}, std::as_writable_bytes(std::span(&adam_.state().step(), 1))});
  }

  const EngineIdentity& identity() const override { return identity_; }
  std::int64_t parameter_count() const override { return model_.parameters().numel(); }

  Result<LossSums> train_batch(std::span<const std::int64_t> rows, std::int64_t global_step,
                               double learning_rate) override {
    CHECK(!rows.empty(), "a batch has rows");
    flush_denormals();
    return without_exceptions("training step " + std::to_string(global_step), [&]() -> Result<LossSums> {
      batch_.fill(rows);
      batch_.draw_masks(seed_, global_step);
      TRY_ASSIGN(const LossSums sums, make_gradients(global_step));
      TRY(clip_gradients(global_step));
      adam_.step(learning_rate);
      return sums;
    });
  }

  Result<LossSums> evaluate(strategy::RowRange rows, std::vector<std::int64_t>* predictions) override {
    CHECK(rows.begin >= 0 && rows.begin <= rows.end && rows.end <= dataset_.rows,
          "the trainer names rows of the dataset");
    flush_denormals();
    return without_exceptions("evaluating the model", [&]() -> Result<LossSums> {
      const torch::NoGradGuard no_gradients;
      if (predictions != nullptr) predictions->clear();
      LossSums sums;
      for (std::int64_t begin = rows.begin; begin < rows.end; begin += kEvaluationRows) {
        sums += evaluate_chunk({begin, std::min(begin + kEvaluationRows, rows.end)}, predictions);
      }
      return sums;
    });
  }

  void snapshot_model(TensorMap& into) const override { copy_out(model_slots_, into); }
  void snapshot_optimizer(TensorMap& into) const override { copy_out(optimizer_slots_, into); }
  Result<void> restore_model(std::span<const TensorView> from) override {
    return copy_in(from, model_slots_);
  }
  Result<void> restore_optimizer(std::span<const TensorView> from) override {
    return copy_in(from, optimizer_slots_);
  }

 private:
  Result<LossSums> make_gradients(std::int64_t global_step) {
    const torch::Tensor logits = model_.forward(batch_.features(), batch_.masks());
    const torch::Tensor log_probabilities = torch::log_softmax(logits, 1);
    const torch::Tensor loss = torch::nll_loss(log_probabilities, batch_.labels(), class_weights_);
    if (!std::isfinite(loss.item<float>())) return not_finite("loss", global_step);
    model_.clear_gradients();
    loss.backward();
    return sum_up(floats_of(logits), floats_of(log_probabilities), batch_.label_values(),
                  dataset_.class_weights, nullptr);
  }

  Result<void> clip_gradients(std::int64_t global_step) {
    if (gradient_clip_ <= 0) return {};
    const double norm = torch::nn::utils::clip_grad_norm_({model_.parameters()}, gradient_clip_);
    if (!std::isfinite(norm)) return not_finite("gradient", global_step);
    return {};
  }

  LossSums evaluate_chunk(strategy::RowRange rows, std::vector<std::int64_t>* predictions) const {
    const torch::Tensor logits = model_.forward(features_.narrow(0, rows.begin, rows.size()), {});
    const torch::Tensor log_probabilities = torch::log_softmax(logits, 1);
    const auto labels =
        std::span(dataset_.labels)
            .subspan(static_cast<std::size_t>(rows.begin), static_cast<std::size_t>(rows.size()));
    return sum_up(floats_of(logits), floats_of(log_probabilities), labels, dataset_.class_weights,
                  predictions);
  }

  void add_slots(const std::string& suffix, const torch::Tensor& flat, std::vector<TensorSlot>& slots) {
    for (const ParameterLayout& part : model_.layout()) {
      slots.push_back({part.name + suffix, DType::kF32, part.shape,
                       std::as_writable_bytes(floats_of(flat).subspan(part.offset, part.count))});
    }
  }

  const Dataset& dataset_;
  std::int64_t seed_;
  double gradient_clip_;
  EngineIdentity identity_;
  torch::Tensor features_;       // [rows, columns], the dataset's memory
  torch::Tensor class_weights_;  // [classes], the dataset's memory
  Perceptron model_;
  FlatAdam adam_;
  Batch batch_;
  std::vector<TensorSlot> model_slots_, optimizer_slots_;
};

void check_dataset(const Dataset& dataset) {
  const auto rows = static_cast<std::size_t>(dataset.rows);
  const auto classes = static_cast<std::int64_t>(dataset.class_weights.size());
  CHECK(dataset.columns > 0 && classes > 0, "a dataset has columns and classes");
  CHECK(dataset.features.size() == rows * static_cast<std::size_t>(dataset.columns) &&
            dataset.labels.size() == rows,
        "features and labels of a dataset have one entry for each row");
  CHECK(
      std::ranges::all_of(dataset.labels, [&](std::int64_t label) { return label >= 0 && label < classes; }),
      "labels of a dataset are classes");
}

class TorchEngineFactory final : public training::EngineFactory {
 public:
  std::string_view name() const override { return "torch"; }

  Result<std::unique_ptr<training::Engine>> create(const Strategy& strategy, const Dataset& dataset,
                                                   std::int64_t seed) override {
    check_dataset(dataset);
    return without_exceptions(
        "making a model on libtorch", [&]() -> Result<std::unique_ptr<training::Engine>> {
          prepare_process_once();
          prepare_thread();
          return std::unique_ptr<training::Engine>(std::make_unique<TorchEngine>(strategy, dataset, seed));
        });
  }
};

}  // namespace

std::unique_ptr<training::EngineFactory> make_torch_engine_factory() {
  return std::make_unique<TorchEngineFactory>();
}

}  // namespace ktrdr::engine_torch
