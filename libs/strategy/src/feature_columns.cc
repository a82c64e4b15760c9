#include "feature_columns.h"

#include <algorithm>
#include <map>

#include "ktrdr/core/check.h"
#include "ktrdr/strategy/dataset.h"

namespace ktrdr::strategy {
namespace {

// Computes each indicator once, however many inputs read it.
class IndicatorCache {
 public:
  IndicatorCache(const Strategy& strategy, const MarketData& bars) : strategy_(strategy), bars_(bars) {}

  const Series& output(const OutputReference& reference) {
    auto found = computed_.find(reference.indicator_id);
    if (found == computed_.end()) {
      found = computed_.emplace(reference.indicator_id, compute(reference.indicator_id)).first;
    }
    return found->second.at(reference.output);
  }

 private:
  std::vector<Series> compute(const std::string& id) const {
    const IndicatorDefinition* definition = strategy_.find_indicator(id);
    CHECK(definition != nullptr, "the parser resolved every reference");
    return find_indicator_type(definition->type)->compute(*definition, bars_);
  }

  const Strategy& strategy_;
  const MarketData& bars_;
  std::map<std::string, std::vector<Series>> computed_;
};

const FuzzySet& fuzzy_set_of(const Strategy& strategy, const FeatureInput& input) {
  const FuzzySet* set = strategy.find_fuzzy_set(*input.fuzzy_set);
  CHECK(set != nullptr, "the parser resolved every reference");
  return *set;
}

Series memberships(const FuzzyMember& member, const Series& values) {
  Series result(values.size());
  std::ranges::transform(values, result.begin(), [&](double x) { return membership(member, x); });
  return result;
}

const OutputReference* reference_of(const Strategy& strategy, const FeatureInput& input) {
  if (input.raw_indicator) return &*input.raw_indicator;
  return input.fuzzy_set ? &fuzzy_set_of(strategy, input).indicator : nullptr;
}

}  // namespace

std::vector<std::string> feature_names_of(const Strategy& strategy, const FeatureInput& input) {
  std::vector<std::string> names;
  for (const std::string& timeframe : input.timeframes) {
    if (input.raw_indicator) names.push_back(timeframe + '_' + input.raw_indicator->text + "_raw");
    if (!input.fuzzy_set) continue;
    const FuzzySet& set = fuzzy_set_of(strategy, input);
    for (const FuzzyMember& member : set.members)
      names.push_back(timeframe + '_' + set.id + '_' + member.name);
  }
  return names;
}

std::vector<std::string> feature_names(const Strategy& strategy) {
  std::vector<std::string> names;
  for (const FeatureInput& input : strategy.inputs) {
    for (std::string& name : feature_names_of(strategy, input)) names.push_back(std::move(name));
  }
  return names;
}

std::vector<FeatureColumn> compute_features(const Strategy& strategy, const MarketData& bars) {
  IndicatorCache indicators(strategy, bars);
  std::vector<FeatureColumn> columns;
  for (const FeatureInput& input : strategy.inputs) {
    const Series& values = indicators.output(*reference_of(strategy, input));
    for (std::size_t i = 0; i < input.timeframes.size();
         ++i) {  // a strategy has one timeframe, so one kind of bars
      if (input.raw_indicator) {
        columns.push_back({"", values, true, input.normalization});
        continue;
      }
      for (const FuzzyMember& member : fuzzy_set_of(strategy, input).members) {
        columns.push_back({"", memberships(member, values)});
      }
    }
  }
  const std::vector<std::string> names = feature_names(strategy);
  CHECK(names.size() == columns.size(), "names and columns follow the same order");
  for (std::size_t i = 0; i < columns.size(); ++i) columns[i].name = names[i];
  return columns;
}

std::int64_t bars_needed(const Strategy& strategy) {
  std::int64_t most = 1;
  for (const FeatureInput& input : strategy.inputs) {
    const IndicatorDefinition* definition =
        strategy.find_indicator(reference_of(strategy, input)->indicator_id);
    most = std::max(most, find_indicator_type(definition->type)->bars_needed(*definition));
  }
  return most;
}

}  // namespace ktrdr::strategy
