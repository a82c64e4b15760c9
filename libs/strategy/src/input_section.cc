// nn_inputs: the columns of the model's input, in order.
#include <algorithm>
#include <set>

#include "feature_columns.h"
#include "ktrdr/strategy/market_data.h"
#include "strategy_sections.h"

namespace ktrdr::strategy {
namespace {

constexpr std::size_t kMostInputs = 1024;

constexpr Choice<NormalizationMethod> kNormalizations[] = {{"none", NormalizationMethod::kNone},
                                                           {"minmax", NormalizationMethod::kMinMax},
                                                           {"zscore", NormalizationMethod::kZScore}};

void report_wrong_timeframe(const Value& value, std::string_view word, const std::string& trained,
                            Problems& problems) {
  if (trained.empty()) return;  // training_data has its own problem
  problems.invalid(value.line, value.path,
                   in_quotes(word) + " is not a timeframe of training_data; it has: " + trained);
}

void read_timeframe_list(const Value& value, const std::string& trained, FeatureInput& input,
                         Problems& problems) {
  const auto items = read_list(value, "timeframes", problems);
  if (!items) return;
  if (items->empty()) problems.invalid(value.line, value.path, "is empty; write all or a list of timeframes");
  for (const Value& item : *items) {
    const auto word = read_text(item, problems);
    if (!word) continue;
    if (*word != trained) {
      report_wrong_timeframe(item, *word, trained, problems);
    } else if (input.timeframes.empty()) {
      input.timeframes.push_back(*word);
    } else {
      problems.invalid(item.line, item.path, "names " + in_quotes(*word) + " a second time; remove it");
    }
  }
}

void read_timeframes(const Value& value, const std::string& trained, FeatureInput& input,
                     Problems& problems) {
  if (!value.node.IsScalar()) return read_timeframe_list(value, trained, input, problems);
  const auto word = read_text(value, problems);
  if (!word) return;
  if (*word == "all") {
    input.timeframes = {trained};
  } else if (is_timeframe(*word)) {
    problems.invalid(value.line, value.path, "must be all or a list; write [" + in_quotes(*word) + "]");
  } else {
    problems.invalid(value.line, value.path,
                     in_quotes(*word) + " is not allowed; write all or a list of timeframes");
  }
}

void read_fuzzy_set_name(const Value& value, const Words& fuzzy_sets, FeatureInput& input,
                         Problems& problems) {
  const auto word = read_text(value, problems);
  if (!word) return;
  if (std::ranges::find(fuzzy_sets, *word) == fuzzy_sets.end()) {
    problems.invalid(value.line, value.path,
                     "there is no fuzzy set " + in_quotes(*word) + suggestion(*word, fuzzy_sets) +
                         " this file has: " + listed(fuzzy_sets));
    return;
  }
  input.fuzzy_set = *word;
}

void read_kind(Section& section, const KnownIndicators& known, const Words& fuzzy_sets, FeatureInput& input) {
  const Value* fuzzy_set = section.find("fuzzy_set");
  const Value* raw = section.find("raw_indicator");
  const Value* normalization = section.find("normalization");
  Problems& problems = section.problems();
  if ((fuzzy_set == nullptr) == (raw == nullptr)) {
    problems.invalid(section.line(), section.path(), "must have exactly one of fuzzy_set and raw_indicator");
    return;
  }
  if (fuzzy_set != nullptr) read_fuzzy_set_name(*fuzzy_set, fuzzy_sets, input, problems);
  if (raw != nullptr) input.raw_indicator = read_output_reference(*raw, known, problems);
  if (normalization == nullptr) return;
  if (fuzzy_set != nullptr) {
    problems.invalid(normalization->line, normalization->path,
                     "is only for raw_indicator, a fuzzy set is between 0 and 1 already; remove it");
  }
  section.choice("normalization", input.normalization, Choices<NormalizationMethod>{kNormalizations});
}

FeatureInput read_input(Section& section, const KnownIndicators& known, const Words& fuzzy_sets,
                        const std::string& trained) {
  FeatureInput input;
  read_kind(section, known, fuzzy_sets, input);
  if (const Value* timeframes = section.require("timeframes", "timeframes: all")) {
    read_timeframes(*timeframes, trained, input, section.problems());
  }
  section.refuse_unknown_keys();
  return input;
}

// Two columns of one name could not be told apart at inference ("a_b" with "c", "a" with "b_c").
void check_feature_names(const Value& entry, const Strategy& strategy, std::set<std::string>& seen,
                         Problems& problems) {
  for (const std::string& name : feature_names_of(strategy, strategy.inputs.back())) {
    if (seen.insert(name).second) continue;
    problems.invalid(entry.line, entry.path,
                     "makes the feature " + in_quotes(name) +
                         " a second time; remove it or rename the fuzzy set or its member");
    return;
  }
}

}  // namespace

void read_inputs(const Value& value, const KnownIndicators& known, const Words& fuzzy_sets,
                 Strategy& strategy, Problems& problems) {
  const auto entries = read_list(value, "inputs", problems);
  if (!entries) return;
  if (entries->empty() || entries->size() > kMostInputs) {
    problems.invalid(value.line, value.path,
                     "must have 1 to 1024 entries, like {fuzzy_set: ..., timeframes: all}");
    return;
  }
  std::set<std::string> seen;
  for (const Value& entry : *entries) {
    Section section(entry, problems);
    strategy.inputs.push_back(read_input(section, known, fuzzy_sets, strategy.timeframe));
    check_feature_names(entry, strategy, seen, problems);
  }
}

}  // namespace ktrdr::strategy
