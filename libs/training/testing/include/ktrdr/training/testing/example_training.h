// A small training made by hand, for tests: a strategy and a dataset that a linear model can learn.
#pragma once

#include <algorithm>
#include <vector>

#include "ktrdr/strategy/dataset.h"
#include "ktrdr/strategy/strategy.h"
#include "ktrdr/training/random.h"

namespace ktrdr::training::testing {

inline strategy::Strategy example_strategy() {
  strategy::Strategy strategy;
  strategy.name = "example";
  strategy.symbol = "EURUSD";
  strategy.timeframe = "1h";
  strategy.model.hidden_layers = {8};
  strategy.model.dropout = 0.2;
  strategy.training.epochs = 4;
  strategy.training.batch_size = 16;
  strategy.training.learning_rate = 0.02;
  return strategy;
}

// 3 classes by which of three sums of features is largest. Splits 70/15/15.
inline strategy::Dataset example_dataset(std::int64_t rows = 120, std::int64_t columns = 4) {
  strategy::Dataset dataset;
  dataset.rows = rows;
  dataset.columns = columns;
  dataset.features.resize(static_cast<std::size_t>(rows * columns));
  initial_uniform(7, 1000, dataset.features);
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* x = dataset.features.data() + row * columns;
    const float scores[3] = {x[0] + x[1], 1.2F * x[2], x[3] + 0.3F};
    dataset.labels.push_back(std::max_element(scores, scores + 3) - scores);
    dataset.timestamps_ms.push_back(row * 3'600'000);
  }
  for (std::int64_t column = 0; column < columns; ++column) {
    dataset.feature_names.push_back("1h_feature_" + std::to_string(column) + "_raw");
    dataset.normalization.push_back({.column = column, .feature = dataset.feature_names.back(), .scale = 1});
  }
  dataset.train = {0, rows * 7 / 10};
  dataset.validation = {dataset.train.end, rows * 17 / 20};
  dataset.test = {dataset.validation.end, rows};
  dataset.class_weights = {0.9F, 0.8F, 1.3F};
  dataset.last_timestamp_ms = dataset.timestamps_ms.back();
  dataset.fingerprint = "0123456789abcdef";
  return dataset;
}

}  // namespace ktrdr::training::testing
