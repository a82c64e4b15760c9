// fuzzy_sets: <id>: {indicator, <member>: [a, b, c] or {type, parameters}}.
#include <algorithm>

#include "strategy_sections.h"

namespace ktrdr::strategy {
namespace {

constexpr Choice<FuzzyShape> kShapes[] = {{"triangular", FuzzyShape::kTriangular},
                                          {"trapezoidal", FuzzyShape::kTrapezoidal},
                                          {"gaussian", FuzzyShape::kGaussian}};

constexpr std::size_t kMostMembers = 64;

std::optional<std::vector<double>> read_numbers(const Value& value, Problems& problems) {
  const auto items = read_list(value, "numbers", problems);
  if (!items) return std::nullopt;
  std::vector<double> numbers;
  for (const Value& item : *items) {
    const auto number = read_number(item, {}, problems);
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

void read_parameters(const Value& value, FuzzyMember& member, Problems& problems) {
  auto numbers = read_numbers(value, problems);
  if (!numbers) return;
  member.parameters = std::move(*numbers);
  const std::string_view wrong = wrong_parameters(member.shape, member.parameters);
  if (!wrong.empty()) problems.invalid(value.line, value.path, std::string(wrong));
}

FuzzyMember read_member(const Section::Entry& entry, Problems& problems) {
  FuzzyMember member{.name = entry.key, .parameters = {}};
  check_id(entry.key, entry.value, problems);
  if (entry.value.node.IsSequence()) {  // a bare list is a triangle
    read_parameters(entry.value, member, problems);
    return member;
  }
  Section section(entry.value, problems);
  const Value* type = section.require("type", "type: triangular, trapezoidal or gaussian");
  const Value* parameters = section.require("parameters", "parameters: [a, b, c]");
  section.refuse_unknown_keys();
  const auto shape =
      type == nullptr ? std::nullopt : read_choice(*type, Choices<FuzzyShape>{kShapes}, problems);
  if (!shape || parameters == nullptr) return member;
  member.shape = *shape;
  read_parameters(*parameters, member, problems);
  return member;
}

void read_fuzzy_set(Section& section, const KnownIndicators& known, FuzzySet& set) {
  if (const Value* indicator = section.require("indicator", "indicator: the id of an indicator")) {
    if (auto reference = read_output_reference(*indicator, known, section.problems())) {
      set.indicator = std::move(*reference);
    }
  }
  for (const Section::Entry& entry : section.take_entries()) {
    set.members.push_back(read_member(entry, section.problems()));
  }
  if (set.members.empty() || set.members.size() > kMostMembers) {
    section.problems().invalid(section.line(), section.path(),
                               "must have 1 to 64 members, like low: [0, 20, 40]");
    set.members.resize(std::min(set.members.size(), kMostMembers));
  }
}

}  // namespace

void read_fuzzy_sets(Section& section, const KnownIndicators& known, Strategy& strategy) {
  for (const Section::Entry& entry : section.take_entries()) {
    check_id(entry.key, entry.value, section.problems());
    FuzzySet set{.id = entry.key, .indicator = {}, .members = {}};
    Section inner(entry.value, section.problems());
    read_fuzzy_set(inner, known, set);
    strategy.fuzzy_sets.push_back(std::move(set));
  }
}

}  // namespace ktrdr::strategy
