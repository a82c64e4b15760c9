// The order of the steps matters: select, then compute (so that no bar outside the selection has any
// influence), then drop the warm-up, split, fit the normalization on the training rows alone, weigh the
// classes, take the fingerprint.
#include "ktrdr/strategy/dataset.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "feature_columns.h"
#include "fingerprint.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/strategy/labels.h"
#include "normalization.h"

namespace ktrdr::strategy {
namespace {

Error wrong(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

std::string bars_name(const Strategy& strategy) { return strategy.symbol + ' ' + strategy.timeframe; }

Result<MarketData> select_bars(const Strategy& strategy, const MarketData& bars, const DateRange& range) {
  const auto start = range.start_ms ? range.start_ms : strategy.start_ms;
  const auto end = range.end_ms ? range.end_ms : strategy.end_ms;
  const auto& times = bars.timestamps_ms;
  const auto first = start ? std::ranges::lower_bound(times, *start) : times.begin();
  const auto last = end ? std::ranges::upper_bound(times, *end) : times.end();
  if (first < last) {
    return bars.slice(static_cast<std::size_t>(first - times.begin()),
                      static_cast<std::size_t>(last - times.begin()));
  }
  if (times.empty())
    return wrong("There are no bars of " + bars_name(strategy) + "; import market data first.");
  return wrong("There are no bars of " + bars_name(strategy) +
               " in the dates asked for; the data runs from " + iso8601_utc(times.front()) + " to " +
               iso8601_utc(times.back()) + ".");
}

// The first row where every column has a value.
std::size_t warm_up_rows(const std::vector<FeatureColumn>& columns) {
  std::size_t warm_up = 0;
  for (const FeatureColumn& column : columns) {
    const auto first = std::ranges::find_if(column.values, [](double x) { return !std::isnan(x); });
    warm_up = std::max(warm_up, static_cast<std::size_t>(first - column.values.begin()));
  }
  return warm_up;
}

Result<void> check_row_count(const Strategy& strategy, std::size_t bars, std::size_t warm_up) {
  const std::int64_t needed =
      std::max(bars_needed(strategy), static_cast<std::int64_t>(warm_up) + kFewestUsableRows);
  if (static_cast<std::int64_t>(bars) >= needed) return {};
  return wrong("The dates select " + std::to_string(bars) + " bars of " + bars_name(strategy) +
               ", but this strategy needs at least " + std::to_string(needed) +
               " (warm-up of its indicators and " + std::to_string(kFewestUsableRows) +
               " usable rows); widen the dates or import more data.");
}

// int(n * train) and int(n * (train + validation)), as the Python system cuts.
Result<void> split_rows(const Split& split, Dataset& dataset) {
  const auto rows = static_cast<double>(dataset.rows);
  const auto first_cut = static_cast<std::int64_t>(rows * split.train);
  const auto second_cut =
      std::min(static_cast<std::int64_t>(rows * (split.train + split.validation)), dataset.rows);
  dataset.train = {0, first_cut};
  dataset.validation = {first_cut, second_cut};
  dataset.test = {second_cut, dataset.rows};
  if (dataset.train.size() > 0 && dataset.validation.size() > 0 && dataset.test.size() > 0) return {};
  const double least = std::min({split.train, split.validation, split.test});
  return wrong("training.data_split leaves a part of the " + std::to_string(dataset.rows) +
               " usable rows empty; its smallest part needs about " +
               std::to_string(std::llround(std::ceil(1 / least)) + 1) +
               " rows in all: widen the dates or change the split.");
}

void normalize(std::vector<FeatureColumn>& columns, std::size_t warm_up, Dataset& dataset) {
  const std::size_t train_end = warm_up + static_cast<std::size_t>(dataset.train.end);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (!columns[i].is_raw) continue;
    Normalization normalization = fit_normalization(columns[i], warm_up, train_end);
    normalization.column = static_cast<std::int64_t>(i);
    normalize_values(normalization, columns[i].values);
    dataset.normalization.push_back(std::move(normalization));
  }
}

Result<void> fill_features(const std::vector<FeatureColumn>& columns, const MarketData& bars,
                           std::size_t warm_up, Dataset& dataset) {
  dataset.features.resize(static_cast<std::size_t>(dataset.rows) * columns.size());
  std::size_t next = 0;
  for (std::size_t row = warm_up; row < bars.rows(); ++row) {
    for (const FeatureColumn& column : columns) {
      const auto value = static_cast<float>(column.values[row]);
      if (!std::isfinite(value)) {
        return wrong("The feature " + column.name + " has no finite value at " +
                     iso8601_utc(bars.timestamps_ms[row]) +
                     "; mend the market data around that time or leave it out of the dates.");
      }
      dataset.features[next++] = value;
    }
  }
  return {};
}

// A gap after the warm-up would make the normalization constants NaN, so it is looked for before they are
// fitted.
Result<void> check_no_gaps(const std::vector<FeatureColumn>& columns, const MarketData& bars,
                           std::size_t warm_up) {
  for (const FeatureColumn& column : columns) {
    const auto begin = column.values.begin() + static_cast<std::ptrdiff_t>(warm_up);
    const auto gap = std::find_if(begin, column.values.end(), [](double x) { return !std::isfinite(x); });
    if (gap == column.values.end()) continue;
    const auto row = static_cast<std::size_t>(gap - column.values.begin());
    return wrong("The feature " + column.name + " has no value at " + iso8601_utc(bars.timestamps_ms[row]) +
                 "; mend the market data around that time or leave it out of the dates.");
  }
  return {};
}

Result<void> weigh_classes(const Strategy& strategy, Dataset& dataset) {
  std::array<double, kLabelClasses> inverse{};
  for (std::int64_t row = 0; row < dataset.train.end; ++row) {
    inverse[static_cast<std::size_t>(dataset.labels[static_cast<std::size_t>(row)])] += 1;
  }
  double sum = 0;
  for (double& value : inverse) sum += value = value > 0 ? 1 / value : 0;
  if (std::ranges::count_if(inverse, [](double value) { return value > 0; }) < 2) {
    return wrong(
        "All training rows have the same label, so there is nothing to learn; lower "
        "training.labels.zigzag_threshold (now " +
        std::to_string(strategy.labels.zigzag_threshold) + ") or widen the dates.");
  }
  for (const double value : inverse) {
    dataset.class_weights.push_back(static_cast<float>(value / sum * static_cast<double>(kLabelClasses)));
  }
  return {};
}

template <class T>
std::vector<T> without_first(const std::vector<T>& values, std::size_t count) {
  return {values.begin() + static_cast<std::ptrdiff_t>(count), values.end()};
}

}  // namespace

Result<Dataset> prepare_dataset(const Strategy& strategy, const MarketData& all_bars,
                                const DateRange& range) {
  TRY_ASSIGN(const MarketData bars, select_bars(strategy, all_bars, range));
  std::vector<FeatureColumn> columns = compute_features(strategy, bars);
  const std::size_t warm_up = warm_up_rows(columns);
  TRY(check_row_count(strategy, bars.rows(), warm_up));
  TRY(check_no_gaps(columns, bars, warm_up));

  Dataset dataset;
  dataset.feature_names = feature_names(strategy);
  dataset.rows = static_cast<std::int64_t>(bars.rows() - warm_up);
  dataset.columns = static_cast<std::int64_t>(columns.size());
  TRY(split_rows(strategy.split, dataset));
  normalize(columns, warm_up, dataset);
  TRY(fill_features(columns, bars, warm_up, dataset));
  dataset.labels = without_first(zigzag_labels(bars.close, strategy.labels.zigzag_threshold), warm_up);
  dataset.timestamps_ms = without_first(bars.timestamps_ms, warm_up);
  TRY(weigh_classes(strategy, dataset));
  dataset.first_timestamp_ms = bars.timestamps_ms.front();
  dataset.last_timestamp_ms = bars.timestamps_ms.back();
  dataset.fingerprint = fingerprint_of(bars, dataset);
  return dataset;
}

Result<Dataset> prepare_dataset(const Strategy& strategy, const DataSelection& selection) {
  TRY_ASSIGN(const MarketData bars, load_market_data(selection.folder, strategy.symbol, strategy.timeframe));
  return prepare_dataset(strategy, bars, {selection.start_ms, selection.end_ms});
}

}  // namespace ktrdr::strategy
