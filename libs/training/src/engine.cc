#include "ktrdr/training/engine.h"

namespace ktrdr::training {

LossSums& LossSums::operator+=(const LossSums& other) {
  weighted_loss += other.weighted_loss;
  weight += other.weight;
  plain_loss += other.plain_loss;
  correct += other.correct;
  count += other.count;
  return *this;
}

}  // namespace ktrdr::training
