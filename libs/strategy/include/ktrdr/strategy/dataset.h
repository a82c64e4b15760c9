// From bars to what a trainer eats: a matrix of features, labels, a split in time order, class weights.
//
// Pure: the same strategy and the same selected bars give the same bytes, and only bars inside the selection
// are looked at, so that bars appended after a pinned end change nothing.
//
// Differences from the Python system, on purpose: warm-up rows (an indicator has no value yet) are dropped,
// where Python trains on zeros in their place; `normalization` is applied, with constants from the training
// rows only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/core/result.h"
#include "ktrdr/strategy/market_data.h"
#include "ktrdr/strategy/strategy.h"

namespace ktrdr::strategy {

// Inclusive at both ends, UTC. What is not set is taken from the strategy, and is open when that says
// nothing.
struct DateRange {
  std::optional<std::int64_t> start_ms;
  std::optional<std::int64_t> end_ms;
};

struct DataSelection {
  std::filesystem::path folder;
  std::optional<std::int64_t> start_ms;
  std::optional<std::int64_t> end_ms;
};

struct RowRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;  // one past the last

  std::int64_t size() const { return end - begin; }
  bool operator==(const RowRange&) const = default;
};

// How one raw column was scaled: (x - offset) / scale. A column that is constant in training has scale 1.
struct Normalization {
  std::int64_t column = 0;
  std::string feature;
  NormalizationMethod method = NormalizationMethod::kNone;
  double offset = 0;
  double scale = 1;

  bool operator==(const Normalization&) const = default;
};

struct Dataset {
  std::vector<std::string> feature_names;  // the contract between training and inference
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<float> features;       // row-major, rows x columns, all finite
  std::vector<std::int64_t> labels;  // 0 BUY, 1 HOLD, 2 SELL
  std::vector<std::int64_t> timestamps_ms;
  RowRange train, validation, test;  // in this order, without gaps, none empty
  std::vector<float>
      class_weights;  // 3: 1 / count in the training rows, scaled to sum 3; 0 for an absent class
  std::vector<Normalization> normalization;  // one per raw column
  // The first and last *selected* bar, warm-up included: selecting this range again gives this dataset again.
  std::int64_t first_timestamp_ms = 0;
  std::int64_t last_timestamp_ms = 0;
  std::string fingerprint;  // SHA-256 of all of the above and of the selected bars, as raw bits

  bool operator==(const Dataset&) const = default;
};

inline constexpr std::int64_t kFewestUsableRows = 50;

// In the order of the columns: nn_inputs order; in one entry timeframes outer, members inner.
// `{timeframe}_{fuzzy_set}_{member}` or `{timeframe}_{raw_indicator}_raw`.
std::vector<std::string> feature_names(const Strategy& strategy);

// Reads the strategy's symbol and timeframe from `selection.folder`. kInvalidArgument says what to change:
// too few bars (and how many are needed), a gap in an indicator, a single class of labels.
Result<Dataset> prepare_dataset(const Strategy& strategy, const DataSelection& selection);
Result<Dataset> prepare_dataset(const Strategy& strategy, const MarketData& bars,
                                const DateRange& range = {});

}  // namespace ktrdr::strategy
