// The top level of a strategy file; the sections are in *_section.cc.
#include <algorithm>

#include "ktrdr/core/clock.h"
#include "ktrdr/strategy/strategy.h"
#include "strategy_sections.h"
#include "yaml_document.h"

namespace ktrdr::strategy {
namespace {

bool is_safe_name(std::string_view name) {
  constexpr std::size_t kLongestName = 100;
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= kLongestName && alphanumeric(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return alphanumeric(c) || c == '_' || c == '-'; });
}

void read_identity(Section& root, Strategy& strategy) {
  if (const Value* name = root.require("name", "name: my_strategy")) {
    strategy.name = read_text(*name, root.problems()).value_or("x");
    if (!is_safe_name(strategy.name)) {
      root.problems().invalid(
          name->line, name->path,
          "becomes a file name; use 1 to 100 letters, digits, _ and -, the first a letter or digit");
    }
  }
  root.text("description", strategy.description);
  root.text("version", strategy.version);
}

void read_context_data(Section& root) {
  const Value* context = root.find("context_data");
  if (context == nullptr || context->node.IsNull()) return;
  const auto entries = read_list(*context, "external series", root.problems());
  if (entries && !entries->empty()) {
    root.problems().unsupported(context->line, context->path, "an external series",
                                "the bars of training_data");
  }
}

// Ids of the file's fuzzy sets, so that one with a problem is not also reported as unknown.
Words ids_of(const std::vector<FuzzySet>& sets) {
  Words ids;
  for (const FuzzySet& set : sets) ids.push_back(set.id);
  return ids;
}

void read_features(Section& root, Strategy& strategy) {
  Problems& problems = root.problems();
  KnownIndicators known;
  if (const Value* indicators = root.require("indicators", "indicators: {rsi_14: {type: rsi, period: 14}}")) {
    Section section(*indicators, problems);
    known = read_indicators(section, strategy);
  }
  if (const Value* fuzzy_sets = root.find("fuzzy_sets")) {
    Section section(*fuzzy_sets, problems);
    read_fuzzy_sets(section, known, strategy);
  }
  if (const Value* inputs = root.require("nn_inputs", "nn_inputs: [{fuzzy_set: ..., timeframes: all}]")) {
    read_inputs(*inputs, known, ids_of(strategy.fuzzy_sets), strategy, problems);
  }
}

std::optional<Section> optional_section(Section& parent, std::string_view key) {
  const Value* value = parent.find(key);
  return value == nullptr ? std::nullopt : std::optional<Section>(std::in_place, *value, parent.problems());
}

void read_model_and_training(Section& root, Strategy& strategy) {
  std::optional<Section> older_training;
  if (const Value* value =
          root.require("model", "model: {type: mlp, architecture: {hidden_layers: [32, 16]}}")) {
    Section model(*value, root.problems());
    if (const Value* training = model.find("training")) older_training.emplace(*training, root.problems());
    read_model(model, strategy.model);
  }
  if (auto decisions = optional_section(root, "decisions")) read_decisions(*decisions, strategy.decisions);
  std::optional<Section> training = optional_section(root, "training");
  read_training(training ? &*training : nullptr, older_training ? &*older_training : nullptr, strategy);
}

void read_strategy(Section& root, Strategy& strategy) {
  read_identity(root, strategy);
  if (const Value* data = root.require("training_data", "training_data: {symbols: ..., timeframes: ...}")) {
    Section section(*data, root.problems());
    read_training_data(section, strategy);
  }
  read_context_data(root);
  read_features(root, strategy);
  read_model_and_training(root, strategy);
  root.accept({"deployment", "hypothesis", "scope"});  // for backtests, live trading and the reader
  root.refuse_unknown_keys();
}

// Files of format v1 and v2 list their indicators; naming each of their keys would not help.
bool is_older_format(const YAML::Node& root) {
  return root.IsMap() && root["indicators"].IsDefined() && root["indicators"].IsSequence();
}

}  // namespace

Result<Strategy> parse_strategy(std::string_view yaml) {
  if (yaml.size() > kMostStrategyBytes) {
    return Error(ErrorCode::kTooLarge, "A strategy file may have at most 1 MiB; this one has " +
                                           std::to_string(yaml.size()) + " bytes.");
  }
  Problems problems;
  Strategy strategy;
  if (const std::optional<YAML::Node> root = load_yaml(yaml, problems)) {
    if (is_older_format(*root)) {
      problems.invalid(
          (*root)["indicators"].Mark().line + 1, "indicators",
          "is a list, as in strategy format v1 and v2; v3 has a mapping: {rsi_14: {type: rsi, period: 14}}");
    } else {
      Section section({*root, 1, ""}, problems);
      read_strategy(section, strategy);
    }
  }
  if (!problems.empty()) return problems.to_error();
  return strategy;
}

Result<std::int64_t> parse_end_date_ms(std::string_view text) {
  constexpr std::string_view kDateOnly = "2024-01-31";
  constexpr std::int64_t kDayMs = 86'400'000;
  TRY_ASSIGN(const std::int64_t moment, parse_iso8601_ms(text));
  return text.size() == kDateOnly.size() ? moment + kDayMs - 1 : moment;
}

const IndicatorDefinition* Strategy::find_indicator(std::string_view id) const {
  const auto found = std::ranges::find(indicators, id, &IndicatorDefinition::id);
  return found == indicators.end() ? nullptr : &*found;
}

const FuzzySet* Strategy::find_fuzzy_set(std::string_view id) const {
  const auto found = std::ranges::find(fuzzy_sets, id, &FuzzySet::id);
  return found == fuzzy_sets.end() ? nullptr : &*found;
}

std::string_view to_string(NormalizationMethod method) {
  constexpr std::string_view kNames[] = {"none", "minmax", "zscore"};
  return kNames[static_cast<std::size_t>(method)];
}

}  // namespace ktrdr::strategy
