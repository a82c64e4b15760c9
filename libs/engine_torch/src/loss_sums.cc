#include "loss_sums.h"

#include <algorithm>

#include "ktrdr/core/check.h"

namespace ktrdr::engine_torch {

training::LossSums sum_up(std::span<const float> logits, std::span<const float> log_probabilities,
                          std::span<const std::int64_t> labels, std::span<const float> class_weights,
                          std::vector<std::int64_t>* predictions) {
  const std::size_t classes = class_weights.size();
  CHECK(logits.size() == labels.size() * classes && log_probabilities.size() == logits.size(),
        "there is one row of logits for each label");
  training::LossSums sums;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    const auto label = static_cast<std::size_t>(labels[row]);
    const double loss = -static_cast<double>(log_probabilities[row * classes + label]);
    const double weight = static_cast<double>(class_weights[label]);
    const auto row_logits = logits.subspan(row * classes, classes);
    const auto predicted = std::ranges::max_element(row_logits) - row_logits.begin();  // the first of equals
    sums.weighted_loss += weight * loss;
    sums.weight += weight;
    sums.plain_loss += loss;
    sums.correct += predicted == labels[row] ? 1 : 0;
    sums.count += 1;
    if (predictions != nullptr) predictions->push_back(predicted);
  }
  return sums;
}

}  // namespace ktrdr::engine_torch
