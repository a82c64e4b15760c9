// The parts of a strategy file, one function each; strategy_parser.cc calls them in order. Each reads its
// section into the Strategy and puts what is wrong on the section's list of problems.
#pragma once

#include <map>
#include <string>

#include "ktrdr/strategy/strategy.h"
#include "section.h"

namespace ktrdr::strategy {

// Ids of the indicators section with their types; nullptr for a type that is wrong or not built, whose
// outputs can't be checked.
using KnownIndicators = std::map<std::string, const IndicatorType*, std::less<>>;

// data_section.cc
void read_training_data(Section& section, Strategy& strategy);
void read_date_range(const Value& value, Strategy& strategy, Problems& problems);

// indicator_section.cc
KnownIndicators read_indicators(Section& section, Strategy& strategy);
std::optional<OutputReference> read_output_reference(const Value& value, const KnownIndicators& known,
                                                     Problems& problems);
// Ids become parts of feature names and references: letters, digits, _ and -.
bool check_id(std::string_view id, const Value& value, Problems& problems);

// fuzzy_section.cc
void read_fuzzy_sets(Section& section, const KnownIndicators& known, Strategy& strategy);

// input_section.cc; `fuzzy_sets` are all ids of the file, also those with problems.
void read_inputs(const Value& value, const KnownIndicators& known, const Words& fuzzy_sets,
                 Strategy& strategy, Problems& problems);

// model_section.cc
void read_model(Section& section, Model& model);
void read_decisions(Section& section, Decisions& decisions);

// training_section.cc; `older` is model.training, where many files keep the same keys.
void read_training(Section* section, Section* older, Strategy& strategy);

}  // namespace ktrdr::strategy
