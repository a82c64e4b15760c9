#include "model_layout.h"

#include <cmath>

#include "ktrdr/training/random.h"

namespace ktrdr::engine_torch {
namespace {

constexpr std::size_t kModulesPerHiddenLayer = 3;  // Linear, activation, Dropout

}  // namespace

std::vector<ParameterLayout> lay_out(const strategy::Model& model, std::int64_t inputs,
                                     std::int64_t classes) {
  std::vector<std::int64_t> widths = model.hidden_layers;
  widths.push_back(classes);
  std::vector<ParameterLayout> layout;
  std::size_t offset = 0;
  for (std::size_t layer = 0; layer < widths.size(); ++layer) {
    const std::string linear = std::to_string(layer * kModulesPerHiddenLayer);
    const std::int64_t outputs = widths[layer];
    const auto weights = static_cast<std::size_t>(outputs * inputs);
    const auto biases = static_cast<std::size_t>(outputs);
    layout.push_back({linear + ".weight", {outputs, inputs}, inputs, offset, weights});
    layout.push_back({linear + ".bias", {outputs}, inputs, offset + weights, biases});
    offset += weights + biases;
    inputs = outputs;
  }
  return layout;
}

std::size_t count_of(const std::vector<ParameterLayout>& layout) {
  return layout.back().offset + layout.back().count;
}

void initialise(const std::vector<ParameterLayout>& layout, std::int64_t seed, std::span<float> parameters) {
  for (std::size_t tensor = 0; tensor < layout.size(); ++tensor) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(layout[tensor].fan_in));
    const std::span<float> values = parameters.subspan(layout[tensor].offset, layout[tensor].count);
    training::initial_uniform(seed, static_cast<std::int64_t>(tensor), values);
    for (float& value : values) value = static_cast<float>(bound * (2.0 * static_cast<double>(value) - 1.0));
  }
}

}  // namespace ktrdr::engine_torch
