#include "ktrdr/training/early_stopping.h"

#include <cmath>

namespace ktrdr::training {

bool judge_epoch(const strategy::EarlyStopping& rule, double validation_loss, double validation_accuracy,
                 EarlyStoppingState& state) {
  const bool by_loss = rule.monitor == strategy::Monitor::kValidationLoss;
  const double score = by_loss ? -validation_loss : validation_accuracy;
  if (std::isfinite(score) && score >= state.best_score + rule.minimum_delta) {
    state = {.best_score = score, .misses = 0};
    return false;
  }
  return ++state.misses >= rule.patience;
}

}  // namespace ktrdr::training
