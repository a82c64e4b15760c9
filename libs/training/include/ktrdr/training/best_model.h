// The weights of the best epoch so far, which snapshots share: they change at the end of an epoch only, and a
// checkpoint need not copy them again. Used by the training thread; a sink may read what was shared with it.
#pragma once

#include <memory>
#include <span>

#include "ktrdr/checkpoints/tensor_map.h"
#include "ktrdr/training/engine.h"

namespace ktrdr::training {

class BestModel {
 public:
  // Copies the engine's model. What was shared before stays as it was: there are two pieces of memory, used
  // in turn when a save is still reading one.
  void remember(const Engine& engine);
  void restore(std::span<const checkpoints::TensorView> weights);

  // Null when there is none. Give it back as soon as nobody reads it, and its memory is used again.
  std::shared_ptr<const checkpoints::TensorMap> share() const { return current_; }

 private:
  checkpoints::TensorMap& unshared();

  std::shared_ptr<checkpoints::TensorMap> current_, other_;
};

}  // namespace ktrdr::training
