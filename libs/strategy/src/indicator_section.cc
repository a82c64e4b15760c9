// indicators: <id>: {type, parameters...}; and references to their outputs.
#include <algorithm>

#include "strategy_sections.h"

namespace ktrdr::strategy {
namespace {

constexpr Choice<PriceColumn> kPriceColumns[] = {{"close", PriceColumn::kClose},
                                                 {"open", PriceColumn::kOpen},
                                                 {"high", PriceColumn::kHigh},
                                                 {"low", PriceColumn::kLow},
                                                 {"volume", PriceColumn::kVolume}};

Words built_type_names() {
  Words names;
  for (const IndicatorType& type : indicator_types()) names.push_back(type.name);
  return names;
}

const IndicatorType* read_type(Section& section) {
  const Value* value = section.require("type", "type: rsi");
  const auto word = value == nullptr ? std::nullopt : read_text(*value, section.problems());
  if (!word) return nullptr;
  const IndicatorType* type = find_indicator_type(lower_case(*word));
  if (type == nullptr) {
    const auto not_built = indicator_types_not_built();
    report_wrong_word(*value, *word, built_type_names(), {not_built.begin(), not_built.end()},
                      section.problems());
  }
  return type;
}

void read_parameters(Section& section, const IndicatorType& type, IndicatorDefinition& definition) {
  definition.type = type.name;
  for (const IndicatorParameter& parameter : type.parameters) {
    std::int64_t number = parameter.fallback;
    section.integer(parameter.name, number, {parameter.minimum, parameter.maximum});
    definition.parameters.push_back(number);
  }
  if (type.has_source) section.choice("source", definition.source, Choices<PriceColumn>{kPriceColumns});
  if (type.name == "macd" && definition.parameters[0] >= definition.parameters[1]) {
    section.problems().invalid(section.line(), section.path_of("fast_period"),
                               "must be smaller than slow_period");
  }
}

// nullptr when the type is wrong or not built.
const IndicatorType* read_indicator(Section& section, IndicatorDefinition& definition) {
  const IndicatorType* type = read_type(section);
  if (const Value* source = section.find("data_source")) {
    section.problems().unsupported(source->line, source->path, "an external series",
                                   "the bars of training_data");
  }
  if (type == nullptr) return nullptr;
  read_parameters(section, *type, definition);
  section.refuse_unknown_keys();
  return type;
}

Words ids_of(const KnownIndicators& known) {
  Words ids;
  for (const auto& [id, type] : known) ids.push_back(id);
  return ids;
}

// The index of the output that follows the dot.
std::optional<std::size_t> find_output(const Value& value, const OutputReference& reference,
                                       const IndicatorType& type, Problems& problems) {
  const std::string_view word = std::string_view(reference.text).substr(reference.indicator_id.size() + 1);
  const Words outputs(type.outputs.begin(), type.outputs.end());
  if (outputs.size() == 1) {
    problems.invalid(value.line, value.path,
                     in_quotes(reference.text) + " names an output, but " + std::string(type.name) +
                         " has only one; write " + in_quotes(reference.indicator_id));
    return std::nullopt;
  }
  const auto found = std::ranges::find(outputs, word);
  if (found != outputs.end()) return static_cast<std::size_t>(found - outputs.begin());
  problems.invalid(value.line, value.path,
                   in_quotes(word) + " is no output of " + std::string(type.name) +
                       suggestion(word, outputs) + " allowed: " + listed(outputs));
  return std::nullopt;
}

}  // namespace

bool check_id(std::string_view id, const Value& value, Problems& problems) {
  constexpr std::size_t kLongestId = 64;
  const bool fits = !id.empty() && id.size() <= kLongestId && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  if (!fits) problems.invalid(value.line, value.path, "is no id; use 1 to 64 letters, digits, _ and -");
  return fits;
}

KnownIndicators read_indicators(Section& section, Strategy& strategy) {
  KnownIndicators known;
  for (const Section::Entry& entry : section.take_entries()) {
    check_id(entry.key, entry.value, section.problems());
    Section inner(entry.value, section.problems());
    IndicatorDefinition definition{.id = entry.key, .type = {}, .parameters = {}};
    known[entry.key] = read_indicator(inner, definition);
    if (known[entry.key] != nullptr) strategy.indicators.push_back(definition);
  }
  return known;
}

std::optional<OutputReference> read_output_reference(const Value& value, const KnownIndicators& known,
                                                     Problems& problems) {
  const auto text = read_text(value, problems);
  if (!text) return std::nullopt;
  OutputReference reference{.text = *text, .indicator_id = text->substr(0, text->find('.'))};
  const auto found = known.find(reference.indicator_id);
  if (found == known.end()) {
    problems.invalid(value.line, value.path,
                     "there is no indicator " + in_quotes(reference.indicator_id) +
                         suggestion(reference.indicator_id, ids_of(known)) +
                         " this file has: " + listed(ids_of(known)));
    return std::nullopt;
  }
  const IndicatorType* type = found->second;
  if (type == nullptr) return std::nullopt;  // its own problem is on the list already
  if (text->find('.') == std::string::npos) return reference;
  const auto output = find_output(value, reference, *type, problems);
  if (!output) return std::nullopt;
  reference.output = *output;
  return reference;
}

}  // namespace ktrdr::strategy
