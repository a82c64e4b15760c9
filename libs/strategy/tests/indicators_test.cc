#include "ktrdr/strategy/indicators.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ktrdr/strategy/fuzzy.h"
#include "ktrdr/strategy/labels.h"
#include "ktrdr/strategy/testing/market_generator.h"

namespace ktrdr::strategy {
namespace {

// Twelve bars, and what an independent program in another language makes of them.
MarketData twelve_bars() {
  MarketData bars;
  bars.high = {10.5, 10.9, 11.2, 11.0, 11.6, 11.9, 11.7, 12.3, 12.1, 11.8, 12.6, 12.9};
  bars.low = {10.0, 10.3, 10.6, 10.4, 10.9, 11.3, 11.1, 11.6, 11.5, 11.0, 11.7, 12.2};
  bars.close = {10.2, 10.8, 10.7, 10.9, 11.5, 11.4, 11.6, 12.0, 11.6, 11.7, 12.5, 12.4};
  bars.open = bars.close;
  bars.volume = Series(12, 1);
  for (std::int64_t row = 0; row < 12; ++row) bars.timestamps_ms.push_back(row);
  return bars;
}

MarketData constant_bars(double price, std::size_t rows) {
  MarketData bars;
  bars.open = bars.high = bars.low = bars.close = Series(rows, price);
  bars.volume = Series(rows, 0);
  for (std::size_t row = 0; row < rows; ++row) bars.timestamps_ms.push_back(static_cast<std::int64_t>(row));
  return bars;
}

std::vector<Series> compute(const std::string& type, std::vector<std::int64_t> parameters,
                            const MarketData& bars, PriceColumn source = PriceColumn::kClose) {
  const IndicatorDefinition definition{.id = "x", .type = type, .parameters = parameters, .source = source};
  return find_indicator_type(type)->compute(definition, bars);
}

void expect_near(const Series& got, const Series& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(wanted[i])) {
      EXPECT_TRUE(std::isnan(got[i])) << "row " << i << " is " << got[i];
    } else {
      EXPECT_NEAR(got[i], wanted[i], 1e-9) << "row " << i;
    }
  }
}

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST(Indicators, RsiIsWildersFormula) {
  expect_near(compute("rsi", {4}, twelve_bars())[0],
              {kNaN, kNaN, kNaN, kNaN, 93.33333333333326, 85.71428571428568, 88.26815642458097,
               92.05548549810842, 64.35498089920657, 67.60437995192733, 83.57530804760256, 77.2296498829854});
}

TEST(Indicators, RsiOfAConstantSeriesIsFiftyAndOfAClimbIsAHundred) {
  const Series constant = compute("rsi", {14}, constant_bars(1.1, 40))[0];
  EXPECT_TRUE(std::isnan(constant[13]));
  for (std::size_t row = 14; row < 40; ++row) EXPECT_EQ(constant[row], 50);
  MarketData climb = constant_bars(1, 30);
  for (std::size_t row = 0; row < 30; ++row) climb.close[row] += static_cast<double>(row);
  EXPECT_EQ(compute("rsi", {14}, climb)[0].back(), 100);
}

TEST(Indicators, RocComparesWithTheBarBefore) {
  expect_near(
      compute("roc", {3}, twelve_bars())[0],
      {kNaN, kNaN, kNaN, 6.862745098039236, 6.481481481481466, 6.542056074766367, 6.422018348623837,
       4.347826086956519, 1.754385964912264, 0.8620689655172376, 4.166666666666674, 6.896551724137945});
}

TEST(Indicators, RocByZeroHasNoValue) {
  const Series change = compute("roc", {1}, constant_bars(1, 5), PriceColumn::kVolume)[0];
  for (const double value : change) EXPECT_TRUE(std::isnan(value));
}

TEST(Indicators, MacdHasLineSignalAndHistogram) {
  const std::vector<Series> macd = compute("macd", {3, 6, 2}, twelve_bars());
  ASSERT_EQ(macd.size(), 3U);
  expect_near(macd[0], {0.0, 0.12857142857142811, 0.1346938775510207, 0.1604956268221578, 0.2753540191586836,
                        0.2556100136847732, 0.2549000097748362, 0.30394643555345446, 0.19232781110961028,
                        0.14641718650686464, 0.2805323653620455, 0.2669260199014598});
  expect_near(macd[1], {0.0, 0.08571428571428541, 0.1183673469387756, 0.1464528668610304, 0.2323869683927992,
                        0.24786899858744854, 0.2525563393790403, 0.2868164034953164, 0.2238240085715123,
                        0.17221946052841386, 0.24442806375083498, 0.2594267011845849});
  expect_near(macd[2],
              {0.0, 0.042857142857142705, 0.016326530612245094, 0.014042759961127388, 0.04296705076588442,
               0.007741015097324666, 0.0023436703957958605, 0.017130032058138067, -0.03149619746190202,
               -0.02580227402154922, 0.03610430161121053, 0.007499318716874925});
}

TEST(Indicators, AdxHasBothDirections) {
  const std::vector<Series> adx = compute("adx", {3}, twelve_bars());
  ASSERT_EQ(adx.size(), 3U);
  expect_near(adx[0], {0, 33.33333333333333, 55.55555555555555, 47.29344729344733, 55.83974180465413,
                       64.36627948267267, 55.615502628265034, 60.46479873694264, 57.19579625424565,
                       44.460120434499025, 44.17118241955234, 48.27117590637263});
  expect_near(adx[1], {0.0, 23.529411764705884, 32.69230769230764, 21.518987341772117, 45.544554455445514,
                       46.9919786096257, 31.59550561797755, 51.3175748053989, 34.9445633145303,
                       21.33230422133827, 48.12699407793831, 46.45989286804889});
  expect_near(adx[2], {0.0, 0.0, 0.0, 11.392405063291097, 7.128712871287106, 4.812834224598916,
                       14.157303370786568, 8.998071841748224, 11.444757829216108, 31.33274951018226,
                       18.905370156839474, 12.92471450995818});
}

TEST(Indicators, OfAConstantSeriesAreFinite) {
  for (const Series& output : compute("adx", {14}, constant_bars(2, 30))) {
    for (const double value : output) EXPECT_EQ(value, 0);
  }
  for (const Series& output : compute("macd", {12, 26, 9}, constant_bars(2, 30))) {
    for (const double value : output) EXPECT_NEAR(value, 0, 1e-12);
  }
}

TEST(Indicators, EveryTypeKeepsItsPromisesOnAnyMarket) {
  const MarketData bars = testing::make_market({.rows = 400, .seed = 7});
  const MarketData prefix = bars.slice(0, 300);
  for (const IndicatorType& type : indicator_types()) {
    IndicatorDefinition definition{.id = "x", .type = std::string(type.name), .parameters = {}};
    for (const IndicatorParameter& parameter : type.parameters)
      definition.parameters.push_back(parameter.fallback);
    const std::vector<Series> outputs = type.compute(definition, bars);
    ASSERT_EQ(outputs.size(), type.outputs.size()) << type.name;
    const std::vector<Series> of_prefix = type.compute(definition, prefix);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      ASSERT_EQ(outputs[i].size(), bars.rows());
      EXPECT_TRUE(std::isfinite(outputs[i][static_cast<std::size_t>(type.bars_needed(definition)) - 1]))
          << type.name;
      // A value never looks at later bars.
      for (std::size_t row = 50; row < 300; ++row) EXPECT_EQ(outputs[i][row], of_prefix[i][row]) << type.name;
    }
  }
}

TEST(Indicators, OfNoBarsAreEmpty) {
  for (const IndicatorType& type : indicator_types()) {
    IndicatorDefinition definition{.id = "x", .type = std::string(type.name), .parameters = {}};
    for (const IndicatorParameter& parameter : type.parameters)
      definition.parameters.push_back(parameter.fallback);
    for (const Series& output : type.compute(definition, MarketData())) EXPECT_TRUE(output.empty());
  }
}

TEST(Indicators, ATypeIsBuiltOrNotBuiltButNeverBoth) {
  for (const std::string_view name : indicator_types_not_built())
    EXPECT_EQ(find_indicator_type(name), nullptr) << name;
}

double triangle(double x, std::vector<double> parameters) {
  return membership({"m", FuzzyShape::kTriangular, std::move(parameters)}, x);
}
double trapezoid(double x, std::vector<double> parameters) {
  return membership({"m", FuzzyShape::kTrapezoidal, std::move(parameters)}, x);
}

TEST(Fuzzy, ATriangleRampsUpToItsPeakAndDown) {
  EXPECT_EQ(triangle(0, {0, 10, 30}), 0);
  EXPECT_EQ(triangle(2.5, {0, 10, 30}), 0.25);
  EXPECT_EQ(triangle(10, {0, 10, 30}), 1);
  EXPECT_EQ(triangle(25, {0, 10, 30}), 0.25);
  EXPECT_EQ(triangle(30, {0, 10, 30}), 0);
  EXPECT_EQ(triangle(-1, {0, 10, 30}), 0);
}

TEST(Fuzzy, ATrapezoidIsOneOnItsPlateau) {
  EXPECT_EQ(trapezoid(5, {0, 10, 20, 40}), 0.5);
  EXPECT_EQ(trapezoid(10, {0, 10, 20, 40}), 1);
  EXPECT_EQ(trapezoid(20, {0, 10, 20, 40}), 1);
  EXPECT_EQ(trapezoid(35, {0, 10, 20, 40}), 0.25);
  EXPECT_EQ(trapezoid(40, {0, 10, 20, 40}), 0);
}

TEST(Fuzzy, WhereARampHasNoWidthThePeakWins) {
  EXPECT_EQ(triangle(100, {60, 100, 100}), 1);
  EXPECT_EQ(triangle(100.1, {60, 100, 100}), 0);
  EXPECT_EQ(triangle(5, {5, 5, 5}), 1);
  EXPECT_EQ(triangle(4, {5, 5, 5}), 0);
  EXPECT_EQ(trapezoid(0, {0, 0, 20, 40}), 1);
  EXPECT_EQ(trapezoid(-0.1, {0, 0, 20, 40}), 0);
  EXPECT_EQ(trapezoid(100, {60, 80, 100, 100}), 1);
}

TEST(Fuzzy, AGaussianIsABell) {
  const FuzzyMember bell{"m", FuzzyShape::kGaussian, {50, 10}};
  EXPECT_EQ(membership(bell, 50), 1);
  EXPECT_NEAR(membership(bell, 60), 0.6065306597126334, 1e-15);
  EXPECT_EQ(membership(bell, 40), membership(bell, 60));
}

TEST(Fuzzy, NoValueHasNoMembership) {
  EXPECT_TRUE(std::isnan(triangle(kNaN, {0, 1, 2})));
  EXPECT_TRUE(std::isnan(trapezoid(kNaN, {0, 1, 2, 3})));
  EXPECT_TRUE(std::isnan(membership({"m", FuzzyShape::kGaussian, {0, 1}}, kNaN)));
}

TEST(Fuzzy, ChecksCountAndOrderOfParameters) {
  EXPECT_EQ(wrong_parameters(FuzzyShape::kTriangular, {0, 0, 0}), "");
  EXPECT_NE(wrong_parameters(FuzzyShape::kTriangular, {0, 2, 1}), "");
  EXPECT_NE(wrong_parameters(FuzzyShape::kTriangular, {0, 1}), "");
  EXPECT_NE(wrong_parameters(FuzzyShape::kTrapezoidal, {0, 1, 2}), "");
  EXPECT_NE(wrong_parameters(FuzzyShape::kTrapezoidal, {3, 2, 1, 0}), "");
  EXPECT_NE(wrong_parameters(FuzzyShape::kGaussian, {0, 0}), "");
  EXPECT_NE(wrong_parameters(FuzzyShape::kGaussian, {0, -1}), "");
}

using Labels = std::vector<std::int64_t>;

TEST(ZigZag, LabelsTheBarsBetweenPivots) {
  //                            pivot        pivot          pivot         after the last
  const std::vector<double> close = {100, 101, 110, 108, 95, 90, 95, 105, 104};
  //                                  P   BUY   P   SELL SELL P  BUY  P    after
  EXPECT_EQ(zigzag_labels(close, 0.05), (Labels{1, 0, 1, 2, 2, 1, 0, 1, 1}));
}

TEST(ZigZag, APivotMovesAlongWithNewExtremes) {
  EXPECT_EQ(zigzag_labels({100, 106, 112, 120, 119, 118}, 0.05), (Labels{1, 0, 0, 1, 1, 1}));
  EXPECT_EQ(zigzag_labels({100, 94, 90, 85, 86}, 0.05), (Labels{1, 2, 2, 1, 1}));
}

TEST(ZigZag, AMarketThatNeverMovesEnoughIsHold) {
  EXPECT_EQ(zigzag_labels({100, 101, 100, 99, 100}, 0.05), (Labels{1, 1, 1, 1, 1}));
  EXPECT_EQ(zigzag_labels({}, 0.05), Labels{});
  EXPECT_EQ(zigzag_labels({5}, 0.05), Labels{1});
}

TEST(ZigZag, AMoveOfExactlyTheThresholdCounts) {
  EXPECT_EQ(zigzag_labels({100, 110, 125}, 0.25), (Labels{1, 0, 1}));
  EXPECT_EQ(zigzag_labels({100, 110, 124.9}, 0.25), (Labels{1, 1, 1}));
}

}  // namespace
}  // namespace ktrdr::strategy
