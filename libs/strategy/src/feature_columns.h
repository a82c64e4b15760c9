// The feature matrix: indicators, then fuzzy memberships or raw values, in the order of nn_inputs.
#pragma once

#include <string>
#include <vector>

#include "ktrdr/strategy/market_data.h"
#include "ktrdr/strategy/strategy.h"

namespace ktrdr::strategy {

struct FeatureColumn {
  std::string name;
  Series values;  // one per bar, NaN where the indicator has no value
  bool is_raw = false;
  NormalizationMethod normalization = NormalizationMethod::kNone;
};

// The names of one input's columns; empty for an input whose reference could not be resolved.
std::vector<std::string> feature_names_of(const Strategy& strategy, const FeatureInput& input);

std::vector<FeatureColumn> compute_features(const Strategy& strategy, const MarketData& bars);

// The fewest bars that give every used indicator a meaning.
std::int64_t bars_needed(const Strategy& strategy);

}  // namespace ktrdr::strategy
