// A small checkpoint with everything in it, whose values follow from a seed: what tests save and compare.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "ktrdr/checkpoints/checkpoint_store.h"

namespace ktrdr::checkpoints::testing {

// Owns the tensors that content() borrows.
class SampleCheckpoint {
 public:
  explicit SampleCheckpoint(int seed = 1) : seed_(seed) {
    const auto base = static_cast<float>(seed);
    const std::vector<std::int64_t> shape = {3, 2};
    const std::vector<float> weights = {base,
                                        -base,
                                        0.5F,
                                        -0.0F,
                                        std::numeric_limits<float>::denorm_min(),
                                        std::numeric_limits<float>::quiet_NaN()};
    model.put("layers.0.weight", DType::kF32, shape, std::as_bytes(std::span(weights)));
    model.put_f32("layers.0.bias", std::vector<float>{base * 2, 1});
    best_model = model;
    optimizer.put_f32("exp_avg.layers.0.bias", std::vector<float>{0.25F, base});
    optimizer.put_scalar("step", std::int64_t{17} + seed);
    trainer.put_scalar("best_loss", std::numeric_limits<double>::infinity());
    trainer.put_f64("history.train_loss", std::vector<double>{0.9, 0.1 * seed});
    trainer.put_u8("flags", std::vector<std::uint8_t>{1, 0, 1});
  }

  // Borrows this sample's tensors, so the sample must have a name.
  CheckpointContent content(const OperationId& operation, CheckpointRef ref) const&& = delete;
  CheckpointContent content(const OperationId& operation, CheckpointRef ref) const& {
    CheckpointContent content;
    content.description = {.operation = operation,
                           .ref = ref,
                           .parent = ref.sequence > 0
                                         ? std::optional(CheckpointRef{ref.attempt, ref.sequence - 1})
                                         : std::nullopt,
                           .checkpoint_type = CheckpointType::kPeriodic,
                           .epoch = seed_,
                           .start_epoch = seed_ + 1,
                           .start_batch = 3,
                           .global_step = 100 + seed_,
                           .identity = {{"engine", "native"}, {"threads", "1"}}};
    content.files = {
        tensor_file(std::string(kModelFile), model).value(),
        tensor_file(std::string(kOptimizerFile), optimizer).value(),
        tensor_file(std::string(kTrainerFile), trainer).value(),
        tensor_file(std::string(kBestModelFile), best_model).value(),
        text_file(std::string(kStrategyFile), "name: sample\nseed: " + std::to_string(seed_) + "\n")};
    return content;
  }

  // Every file and field is what content() wrote.
  bool equals(const VerifiedCheckpoint& loaded) const {
    return loaded.manifest().epoch == seed_ && to_tensor_map(loaded.model()) == model &&
           to_tensor_map(loaded.optimizer()) == optimizer && to_tensor_map(loaded.trainer()) == trainer &&
           loaded.best_model() != nullptr && to_tensor_map(*loaded.best_model()) == best_model &&
           loaded.text(kStrategyFile).ends_with(std::to_string(seed_) + "\n");
  }

  TensorMap model;
  TensorMap best_model;
  TensorMap optimizer;
  TensorMap trainer;

 private:
  int seed_;
};

inline Result<StoredCheckpoint> put_sample(CheckpointStore& store, const OperationId& operation,
                                           CheckpointRef ref, int seed = 1) {
  const SampleCheckpoint sample(seed);
  return store.put(sample.content(operation, ref));
}

}  // namespace ktrdr::checkpoints::testing
