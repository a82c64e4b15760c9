#include "ktrdr/strategy/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/strategy/labels.h"
#include "ktrdr/strategy/testing/market_generator.h"
#include "ktrdr/strategy/testing/strategy_text.h"

namespace ktrdr::strategy {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;
using ktrdr::testing::TemporaryFolder;

Strategy quick_strategy() { return *parse_strategy(testing::strategy_text()); }
MarketData market(std::int64_t rows = 1000, std::uint64_t seed = 1) {
  return testing::make_market({.rows = rows, .seed = seed});
}
Dataset dataset_of(const MarketData& bars, const DateRange& range = {}) {
  Result<Dataset> data = prepare_dataset(quick_strategy(), bars, range);
  CHECK(data.ok(), data.error().message.c_str());
  return *std::move(data);
}
std::string fingerprint(const MarketData& bars, const DateRange& range = {}) {
  return dataset_of(bars, range).fingerprint;
}

TEST(Dataset, HasTheColumnsInTheOrderOfTheInputs) {
  const Dataset data = dataset_of(market());
  EXPECT_EQ(data.feature_names,
            (std::vector<std::string>{"1h_rsi_state_oversold", "1h_rsi_state_overbought",
                                      "1h_momentum_falling", "1h_momentum_rising", "1h_roc_5_raw"}));
  EXPECT_EQ(data.columns, 5);
  EXPECT_EQ(data.feature_names, feature_names(quick_strategy()));
}

TEST(Dataset, DropsTheWarmUpAndKeepsEveryRowAfterIt) {
  const MarketData bars = market();
  const Dataset data = dataset_of(bars);
  EXPECT_EQ(data.rows, 1000 - 7);  // the RSI of 7 has its first value in row 7
  EXPECT_EQ(data.timestamps_ms.front(), bars.timestamps_ms[7]);
  EXPECT_EQ(data.timestamps_ms.back(), bars.timestamps_ms.back());
  EXPECT_EQ(data.features.size(), static_cast<std::size_t>(data.rows * data.columns));
  EXPECT_TRUE(std::ranges::all_of(data.features, [](float x) { return std::isfinite(x); }));
  std::vector<std::int64_t> labels = zigzag_labels(bars.close, 0.005);
  labels.erase(labels.begin(), labels.begin() + 7);
  EXPECT_EQ(data.labels, labels);
}

TEST(Dataset, AFeatureIsTheMembershipOfItsIndicator) {
  const MarketData bars = market();
  const Dataset data = dataset_of(bars);
  const double roc = 100 * (bars.close[500] / bars.close[495] - 1);
  const double falling = std::exp(-std::pow((roc + 0.3) / 0.2, 2) / 2);
  EXPECT_NEAR(data.features[(500 - 7) * 5 + 2], falling, 1e-6);
}

TEST(Dataset, SplitsInTimeOrderWithoutGaps) {
  const Dataset data = dataset_of(market());
  EXPECT_EQ(data.train, (RowRange{0, 695}));         // int(993 * 0.7)
  EXPECT_EQ(data.validation, (RowRange{695, 844}));  // int(993 * 0.85)
  EXPECT_EQ(data.test, (RowRange{844, 993}));
}

TEST(Dataset, WeighsTheClassesByTheTrainingRows) {
  const Dataset data = dataset_of(market());
  std::vector<double> counts(3);
  for (std::int64_t row = 0; row < data.train.end; ++row) {
    counts[static_cast<std::size_t>(data.labels[static_cast<std::size_t>(row)])] += 1;
  }
  ASSERT_EQ(data.class_weights.size(), 3U);
  EXPECT_NEAR(std::accumulate(data.class_weights.begin(), data.class_weights.end(), 0.0), 3, 1e-6);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(data.class_weights[i] * counts[i], data.class_weights[0] * counts[0], 1e-3);
  }
}

// A climb of 0.1 % a bar up to `top`, level from there on: BUY, then HOLD, never SELL.
MarketData climb(std::size_t rows, std::size_t top) {
  MarketData bars = market(static_cast<std::int64_t>(rows));
  for (std::size_t row = 0; row < rows; ++row) {
    const auto distance = static_cast<double>(std::min(row, top));
    bars.close[row] = bars.open[row] = 1 + 0.001 * distance;
    bars.high[row] = bars.close[row] * 1.001;
    bars.low[row] = bars.close[row] * 0.999;
  }
  return bars;
}

TEST(Dataset, AnAbsentClassWeighsNothing) {
  const Dataset data = dataset_of(climb(300, 150));
  EXPECT_GT(data.class_weights[kBuy], 0);
  EXPECT_GT(data.class_weights[kHold], 0);
  EXPECT_EQ(data.class_weights[kSell], 0);
}

TEST(Dataset, ASingleClassIsRefused) {
  Strategy strategy = quick_strategy();
  strategy.labels.zigzag_threshold = 0.9;
  const auto data = prepare_dataset(strategy, market());
  EXPECT_THAT(data, FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(data, SaysError("zigzag_threshold"));
}

TEST(Dataset, NormalizationComesFromTheTrainingRowsAlone) {
  MarketData bars = market();
  const Normalization before = dataset_of(bars).normalization.at(0);
  bars.close[950] *= 1.01;  // a test row; high and low do not matter to this strategy
  EXPECT_EQ(dataset_of(bars).normalization.at(0), before);
  bars.close[300] *= 1.01;
  EXPECT_NE(dataset_of(bars).normalization.at(0), before);
  EXPECT_EQ(before.column, 4);
  EXPECT_EQ(before.feature, "1h_roc_5_raw");
  EXPECT_EQ(before.method, NormalizationMethod::kZScore);
}

TEST(Dataset, AZScoreHasMeanZeroAndDeviationOneInTheTrainingRows) {
  const Dataset data = dataset_of(market());
  double sum = 0, squares = 0;
  for (std::int64_t row = 0; row < data.train.end; ++row) {
    const double x = data.features[static_cast<std::size_t>(row * 5 + 4)];
    sum += x, squares += x * x;
  }
  const auto n = static_cast<double>(data.train.end);
  EXPECT_NEAR(sum / n, 0, 1e-5);
  EXPECT_NEAR((squares - sum * sum / n) / (n - 1), 1, 1e-5);
}

TEST(Dataset, MinMaxSpansZeroToOneAndNoneLeavesTheValue) {
  Strategy strategy = quick_strategy();
  strategy.inputs[2].normalization = NormalizationMethod::kMinMax;
  const Dataset scaled = *prepare_dataset(strategy, market());
  float least = 1, greatest = 0;
  for (std::int64_t row = 0; row < scaled.train.end; ++row) {
    least = std::min(least, scaled.features[static_cast<std::size_t>(row * 5 + 4)]);
    greatest = std::max(greatest, scaled.features[static_cast<std::size_t>(row * 5 + 4)]);
  }
  EXPECT_EQ(least, 0);
  EXPECT_EQ(greatest, 1);
  strategy.inputs[2].normalization = NormalizationMethod::kNone;
  const MarketData bars = market();
  const Dataset raw = *prepare_dataset(strategy, bars);
  EXPECT_EQ(raw.features[4], static_cast<float>(100 * (bars.close[7] / bars.close[2] - 1)));
}

TEST(Dataset, AColumnWithoutSpreadBecomesZero) {
  Strategy strategy = quick_strategy();
  strategy.inputs[2].raw_indicator = OutputReference{"rsi_7", "rsi_7", 0};
  MarketData bars = climb(300, 150);  // the RSI of a climb is 100 in every training row
  const Dataset data = *prepare_dataset(strategy, bars);
  EXPECT_EQ(data.normalization[0].scale, 1);
  EXPECT_EQ(data.features[4], 0);
}

TEST(Dataset, TheSameBarsGiveTheSameBytes) {
  EXPECT_EQ(dataset_of(market()), dataset_of(market()));
  EXPECT_EQ(fingerprint(market()).size(), 64U);
}

TEST(Dataset, RowsAppendedAfterAPinnedEndChangeNothing) {
  const MarketData longer = market(1400);
  const Dataset before = dataset_of(longer.slice(0, 1000));
  const DateRange pinned{.start_ms = {}, .end_ms = before.last_timestamp_ms};
  EXPECT_EQ(dataset_of(longer, pinned), before);
  EXPECT_NE(fingerprint(longer), before.fingerprint);
}

TEST(Dataset, TheRangeItNamesSelectsItAgain) {
  const MarketData bars = market();
  const DateRange range{.start_ms = bars.timestamps_ms[100] - 1, .end_ms = bars.timestamps_ms[800] + 1};
  const Dataset data = dataset_of(bars, range);
  EXPECT_EQ(data.first_timestamp_ms, bars.timestamps_ms[100]);
  EXPECT_EQ(data.last_timestamp_ms, bars.timestamps_ms[800]);
  EXPECT_EQ(dataset_of(bars, {data.first_timestamp_ms, data.last_timestamp_ms}), data);
}

TEST(Dataset, EveryUsedValueIsInTheFingerprint) {
  const std::string before = fingerprint(market());
  for (std::vector<double> MarketData::*column :
       {&MarketData::open, &MarketData::high, &MarketData::low, &MarketData::close, &MarketData::volume}) {
    for (const std::size_t row : {std::size_t{0}, std::size_t{3}, std::size_t{500}, std::size_t{999}}) {
      MarketData bars = market();
      (bars.*column)[row] = std::nextafter((bars.*column)[row], 1e9);
      EXPECT_NE(fingerprint(bars), before) << "row " << row;
    }
  }
  MarketData bars = market();
  bars.timestamps_ms[500] += 1;
  EXPECT_NE(fingerprint(bars), before);
}

TEST(Dataset, AnotherStrategyHasAnotherFingerprint) {
  const std::string before = fingerprint(market());
  Strategy renamed = quick_strategy();
  renamed.fuzzy_sets[0].members[0].name = "low";
  EXPECT_NE(prepare_dataset(renamed, market())->fingerprint, before);
  Strategy split = quick_strategy();
  split.split = {.train = 0.6, .validation = 0.2, .test = 0.2};
  EXPECT_NE(prepare_dataset(split, market())->fingerprint, before);
  Strategy labels = quick_strategy();
  labels.labels.zigzag_threshold = 0.01;
  EXPECT_NE(prepare_dataset(labels, market())->fingerprint, before);
  Strategy trained_otherwise = quick_strategy();
  trained_otherwise.training.epochs = 7;
  EXPECT_EQ(prepare_dataset(trained_otherwise, market())->fingerprint, before)
      << "not a property of the data";
}

TEST(Dataset, DatesOfTheRequestWinOverThoseOfTheStrategy) {
  const MarketData bars = market();
  Strategy strategy = quick_strategy();
  strategy.start_ms = bars.timestamps_ms[200];
  strategy.end_ms = bars.timestamps_ms[700];
  const Dataset own = *prepare_dataset(strategy, bars);
  EXPECT_EQ(own.first_timestamp_ms, bars.timestamps_ms[200]);
  EXPECT_EQ(own.last_timestamp_ms, bars.timestamps_ms[700]);
  const Dataset asked = *prepare_dataset(strategy, bars, {.start_ms = bars.timestamps_ms[50], .end_ms = {}});
  EXPECT_EQ(asked.first_timestamp_ms, bars.timestamps_ms[50]);
  EXPECT_EQ(asked.last_timestamp_ms, bars.timestamps_ms[700]);
}

TEST(Dataset, TooFewRowsSayHowManyAreNeeded) {
  const auto few = prepare_dataset(quick_strategy(), market(56));
  EXPECT_THAT(few, FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(few, SaysError("select 56 bars of EURUSD 1h"));
  EXPECT_THAT(few, SaysError("at least 57"));
  EXPECT_THAT(prepare_dataset(quick_strategy(), market(57)), IsOk());
}

TEST(Dataset, NoBarsInTheDatesNamesTheDatesThatThereAre) {
  const auto none = prepare_dataset(quick_strategy(), market(), {.start_ms = 0, .end_ms = 1});
  EXPECT_THAT(none, SaysError("the data runs from 2015-01-01T00:00:00.000Z to 2015-02-11T15:00:00.000Z"));
  EXPECT_THAT(prepare_dataset(quick_strategy(), market(), {.start_ms = 2, .end_ms = 1}),
              FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(prepare_dataset(quick_strategy(), MarketData()), FailsWith(ErrorCode::kInvalidArgument));
}

TEST(Dataset, ASplitWithAnEmptyPartIsRefused) {
  Strategy strategy = quick_strategy();
  strategy.split = {.train = 0.995, .validation = 0.004, .test = 0.001};
  EXPECT_THAT(prepare_dataset(strategy, market(107)), SaysError("data_split"));
}

TEST(Dataset, AGapAfterTheWarmUpNamesItsTime) {
  Strategy strategy = quick_strategy();
  strategy.indicators[1].source = PriceColumn::kVolume;
  MarketData bars = market();
  bars.volume[600] = 0;  // the change from 0, five bars later, has no value
  const auto gap = prepare_dataset(strategy, bars);
  EXPECT_THAT(gap, FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(gap, SaysError(iso8601_utc(bars.timestamps_ms[605])));
}

TEST(Dataset, IsReadFromTheStrategysFile) {
  const TemporaryFolder folder;
  testing::write_market(folder.path(), market());
  const DataSelection selection{.folder = folder.path(), .start_ms = {}, .end_ms = {}};
  EXPECT_EQ(*prepare_dataset(quick_strategy(), selection), dataset_of(market()));
  const DataSelection elsewhere{.folder = folder / "missing", .start_ms = {}, .end_ms = {}};
  EXPECT_THAT(prepare_dataset(quick_strategy(), elsewhere), FailsWith(ErrorCode::kNotFound));
}

}  // namespace
}  // namespace ktrdr::strategy
