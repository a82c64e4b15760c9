#include "ktrdr/strategy/indicators.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace ktrdr::strategy {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double ratio_or_zero(double numerator, double denominator) {
  return denominator == 0 ? 0 : numerator / denominator;
}

// EW(alpha) of the header.
Series exponential_mean(const Series& x, double alpha) {
  Series y(x.size());
  for (std::size_t t = 0; t < x.size(); ++t) y[t] = t == 0 ? x[0] : alpha * x[t] + (1 - alpha) * y[t - 1];
  return y;
}

double span_alpha(std::int64_t span) { return 2.0 / (static_cast<double>(span) + 1.0); }

Series difference(const Series& a, const Series& b) {
  Series result(a.size());
  std::ranges::transform(a, b, result.begin(), std::minus<>());
  return result;
}

double strength_index(double gain, double loss) {
  if (loss == 0) return gain > 0 ? 100 : 50;
  return 100 - 100 / (1 + gain / loss);
}

std::vector<Series> rsi(const IndicatorDefinition& definition, const MarketData& bars) {
  const Series& x = bars.column(definition.source);
  const auto n = static_cast<std::size_t>(definition.parameters[0]);
  const auto period = static_cast<double>(n);
  Series result(x.size(), kNone);
  double gain = 0, loss = 0;  // sums until row n, Wilder's means from there on
  for (std::size_t t = 1; t < x.size(); ++t) {
    const double up = std::max(x[t] - x[t - 1], 0.0), down = std::max(x[t - 1] - x[t], 0.0);
    gain = t <= n ? gain + up : ((period - 1) * gain + up) / period;
    loss = t <= n ? loss + down : ((period - 1) * loss + down) / period;
    if (t == n) gain /= period, loss /= period;
    if (t >= n) result[t] = strength_index(gain, loss);
  }
  return {result};
}

std::vector<Series> roc(const IndicatorDefinition& definition, const MarketData& bars) {
  const Series& x = bars.column(definition.source);
  const auto n = static_cast<std::size_t>(definition.parameters[0]);
  Series result(x.size(), kNone);
  for (std::size_t t = n; t < x.size(); ++t) {
    const double change = 100 * (x[t] / x[t - n] - 1);
    if (std::isfinite(change)) result[t] = change;
  }
  return {result};
}

std::vector<Series> macd(const IndicatorDefinition& definition, const MarketData& bars) {
  const Series& x = bars.column(definition.source);
  const Series line = difference(exponential_mean(x, span_alpha(definition.parameters[0])),
                                 exponential_mean(x, span_alpha(definition.parameters[1])));
  const Series signal = exponential_mean(line, span_alpha(definition.parameters[2]));
  return {line, signal, difference(line, signal)};
}

struct Movement {
  Series true_range, plus, minus;
};

Movement directional_movement(const MarketData& bars) {
  Movement movement{Series(bars.rows()), Series(bars.rows()), Series(bars.rows())};
  if (bars.rows() > 0) movement.true_range[0] = bars.high[0] - bars.low[0];
  for (std::size_t t = 1; t < bars.rows(); ++t) {
    const double before = bars.close[t - 1];
    movement.true_range[t] = std::max(
        {bars.high[t] - bars.low[t], std::abs(bars.high[t] - before), std::abs(bars.low[t] - before)});
    const double up = bars.high[t] - bars.high[t - 1], down = bars.low[t - 1] - bars.low[t];
    if (up > down && up > 0) movement.plus[t] = up;
    if (down > up && down > 0) movement.minus[t] = down;
  }
  return movement;
}

std::vector<Series> adx(const IndicatorDefinition& definition, const MarketData& bars) {
  const double alpha = 1.0 / static_cast<double>(definition.parameters[0]);
  const Movement movement = directional_movement(bars);
  const Series range = exponential_mean(movement.true_range, alpha);
  Series plus = exponential_mean(movement.plus, alpha), minus = exponential_mean(movement.minus, alpha);
  Series index(bars.rows());
  for (std::size_t t = 0; t < bars.rows(); ++t) {
    plus[t] = 100 * ratio_or_zero(plus[t], range[t]);
    minus[t] = 100 * ratio_or_zero(minus[t], range[t]);
    index[t] = 100 * ratio_or_zero(std::abs(plus[t] - minus[t]), plus[t] + minus[t]);
  }
  return {exponential_mean(index, alpha), plus, minus};
}

std::int64_t one_more_than_the_period(const IndicatorDefinition& definition) {
  return definition.parameters[0] + 1;
}
std::int64_t twice_the_period_and_one(const IndicatorDefinition& definition) {
  return 2 * definition.parameters[0] + 1;
}
std::int64_t slow_and_signal(const IndicatorDefinition& definition) {
  return definition.parameters[1] + definition.parameters[2];
}

constexpr IndicatorParameter kRsiParameters[] = {{"period", 14, 2, 100}};
constexpr IndicatorParameter kRocParameters[] = {{"period", 10, 1, 100}};
constexpr IndicatorParameter kMacdParameters[] = {
    {"fast_period", 12, 1, 100}, {"slow_period", 26, 1, 200}, {"signal_period", 9, 1, 50}};
constexpr IndicatorParameter kAdxParameters[] = {{"period", 14, 2, 200}};
constexpr std::string_view kRsiOutputs[] = {"rsi"};
constexpr std::string_view kRocOutputs[] = {"roc"};
constexpr std::string_view kMacdOutputs[] = {"line", "signal", "histogram"};
constexpr std::string_view kAdxOutputs[] = {"adx", "plus_di", "minus_di"};

constexpr IndicatorType kTypes[] = {
    {"adx", kAdxParameters, false, kAdxOutputs, adx, twice_the_period_and_one},
    {"macd", kMacdParameters, true, kMacdOutputs, macd, slow_and_signal},
    {"roc", kRocParameters, true, kRocOutputs, roc, one_more_than_the_period},
    {"rsi", kRsiParameters, true, kRsiOutputs, rsi, one_more_than_the_period},
};

constexpr std::string_view kNotBuilt[] = {"adline",
                                          "aroon",
                                          "atr",
                                          "bbands",
                                          "bollingerbands",
                                          "bollingerbandwidth",
                                          "cci",
                                          "cmf",
                                          "distancefromma",
                                          "donchianchannels",
                                          "ema",
                                          "fisher",
                                          "fishertransform",
                                          "ichimoku",
                                          "keltnerchannels",
                                          "mfi",
                                          "momentum",
                                          "obv",
                                          "parabolicsar",
                                          "rvi",
                                          "sma",
                                          "squeezeintensity",
                                          "stoch",
                                          "stochastic",
                                          "supertrend",
                                          "volumeratio",
                                          "vwap",
                                          "williamsr",
                                          "wma",
                                          "zigzag"};

}  // namespace

std::span<const IndicatorType> indicator_types() { return kTypes; }

const IndicatorType* find_indicator_type(std::string_view name) {
  const auto found = std::ranges::find(kTypes, name, &IndicatorType::name);
  return found == std::end(kTypes) ? nullptr : &*found;
}

std::span<const std::string_view> indicator_types_not_built() { return kNotBuilt; }

}  // namespace ktrdr::strategy
