// The seam between the trainer, which knows epochs but no tensors, and a tensor library, which knows tensors
// but no epochs. One contract suite (testing/engine_contract.h) runs on every engine.
//
// An engine owns one model with its optimizer and borrows one dataset, which must outlive it. It is used by
// one thread at a time, the one that created it. Given equal inputs, equal calls leave equal bits: nothing in
// an engine may depend on time, addresses, thread scheduling or an earlier run.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/checkpoints/tensor_map.h"
#include "ktrdr/core/result.h"
#include "ktrdr/strategy/dataset.h"
#include "ktrdr/strategy/strategy.h"

namespace ktrdr::training {

// Everything outside strategy and data that can change bits: engine, library versions, threads, BLAS, CPU
// dispatch, flush-to-zero. Recorded in every checkpoint; a resume refuses to go on where it differs.
using EngineIdentity = std::map<std::string, std::string>;

// Sums over rows, so that batches and chunks can be added up in a fixed order. Doubles, added in row order.
struct LossSums {
  double weighted_loss = 0;  // sum of class_weight[y] * -log p_y
  double weight = 0;         // sum of class_weight[y]
  double plain_loss = 0;     // sum of -log p_y
  std::int64_t correct = 0;  // rows whose largest logit is the label's (the first of equals)
  std::int64_t count = 0;

  LossSums& operator+=(const LossSums& other);
  double mean_loss() const { return weight > 0 ? weighted_loss / weight : 0; }
  double accuracy() const {
    return count > 0 ? static_cast<double>(correct) / static_cast<double>(count) : 0;
  }
  bool operator==(const LossSums&) const = default;
};

class Engine {
 public:
  virtual ~Engine() = default;

  virtual const EngineIdentity& identity() const = 0;
  virtual std::int64_t parameter_count() const = 0;

  // One optimizer step on these rows of the dataset (indices, any order): forward with dropout, weighted
  // cross entropy (mean over the weights), backward, clip, Adam. The dropout masks are a pure function of
  // (seed, global_step). The sums are those before the step. kInternal when the loss is not finite: the
  // message names the step, and the model must not be used further.
  virtual Result<LossSums> train_batch(std::span<const std::int64_t> rows, std::int64_t global_step,
                                       double learning_rate) = 0;

  // Forward without dropout over rows [begin, end) in chunks of a fixed size. `predictions`, when not null,
  // receives the predicted class of each row.
  virtual Result<LossSums> evaluate(strategy::RowRange rows, std::vector<std::int64_t>* predictions) = 0;

  // Copies the current state into `into`: the first call lays it out, later calls reuse its memory. Names and
  // shapes are PyTorch's: "0.weight" [out, in], "0.bias" [out], ... for nn.Sequential; optimizer tensors are
  // "0.weight.exp_avg", "0.weight.exp_avg_sq" and the scalar "step".
  virtual void snapshot_model(checkpoints::TensorMap& into) const = 0;
  virtual void snapshot_optimizer(checkpoints::TensorMap& into) const = 0;

  // Copies exactly what a snapshot gave, in the order of the names, from memory that need not live longer.
  // kCheckpointCorrupted names the first tensor that is missing, unknown or has another type or shape;
  // nothing was changed then.
  virtual Result<void> restore_model(std::span<const checkpoints::TensorView> from) = 0;
  virtual Result<void> restore_optimizer(std::span<const checkpoints::TensorView> from) = 0;
};

// Makes engines of one kind. Used by one thread at a time; outlives what it makes.
class EngineFactory {
 public:
  virtual ~EngineFactory() = default;
  virtual std::string_view name() const = 0;  // "torch"

  // A fresh model whose weights are a pure function of the seed: tensor t, element i = bound * (2 u - 1) with
  // bound = 1 / sqrt(fan_in) (PyTorch's default for Linear weight and bias) and u from initial_uniform() in
  // random.h.
  virtual Result<std::unique_ptr<Engine>> create(const strategy::Strategy& strategy,
                                                 const strategy::Dataset& dataset, std::int64_t seed) = 0;
};

}  // namespace ktrdr::training
