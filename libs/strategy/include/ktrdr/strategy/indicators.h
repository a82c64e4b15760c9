// Technical indicators as pure functions of bars, in plain double arithmetic and a fixed order of operations:
// the same bars give the same bits.
//
// Formulas, with EW(a): y0 = x0, yt = a xt + (1 - a) y(t-1):
//   rsi   Wilder (1978): the first n differences give the first mean gain G and loss L, then
//         avg = ((n - 1) avg + x) / n; 100 - 100 / (1 + G / L). L = 0: 100 if G > 0, else 50. First n rows
//         NaN.
//   roc   100 (xt / x(t-n) - 1). First n rows NaN, also where it is not finite.
//   macd  line = EW(2 / (fast + 1)) - EW(2 / (slow + 1)); signal = EW(2 / (signal + 1)) of line;
//         histogram = line - signal. No NaN.
//   adx   Wilder (1978) with EW(1 / n): DI = 100 EW(DM) / EW(TR), DX = 100 |+DI - -DI| / (+DI + -DI),
//         adx = EW(DX); a quotient by 0 is 0. No NaN.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/strategy/market_data.h"

namespace ktrdr::strategy {

struct IndicatorParameter {
  std::string_view name;
  std::int64_t fallback;
  std::int64_t minimum;
  std::int64_t maximum;
};

// One `indicators.<id>` of a strategy, checked against its type.
struct IndicatorDefinition {
  std::string id;
  std::string type;                      // a name in indicator_types()
  std::vector<std::int64_t> parameters;  // in the order of IndicatorType::parameters, all present
  PriceColumn source = PriceColumn::kClose;

  bool operator==(const IndicatorDefinition&) const = default;
};

using Series = std::vector<double>;  // one value per bar; NaN where there is none yet

// A row of the table of indicators.
struct IndicatorType {
  std::string_view name;
  std::span<const IndicatorParameter> parameters;
  bool has_source;
  std::span<const std::string_view> outputs;  // the first is what the bare id means
  // One series per output, each as long as the bars.
  std::vector<Series> (*compute)(const IndicatorDefinition&, const MarketData&);
  // The fewest bars that give it a meaning.
  std::int64_t (*bars_needed)(const IndicatorDefinition&);
};

std::span<const IndicatorType> indicator_types();
const IndicatorType* find_indicator_type(std::string_view name);  // nullptr: not built here

// Names that are valid in a v3 strategy but that this version does not compute yet.
std::span<const std::string_view> indicator_types_not_built();

}  // namespace ktrdr::strategy
