#include "ktrdr/training/best_model.h"

#include <utility>

namespace ktrdr::training {

void BestModel::remember(const Engine& engine) { engine.snapshot_model(unshared()); }

void BestModel::restore(std::span<const checkpoints::TensorView> weights) { unshared().assign_from(weights); }

// The counts are sound: they only ever grow by what this thread shares, and a reader that has let go has said
// so under a lock.
checkpoints::TensorMap& BestModel::unshared() {
  if (current_ != nullptr && current_.use_count() > 1) std::swap(current_, other_);
  if (current_ == nullptr || current_.use_count() > 1) current_ = std::make_shared<checkpoints::TensorMap>();
  return *current_;
}

}  // namespace ktrdr::training
