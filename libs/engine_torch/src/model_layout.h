// Where the numbers of a multilayer perceptron lie in one piece of memory, and what each of them is called.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ktrdr/strategy/strategy.h"

namespace ktrdr::engine_torch {

struct ParameterLayout {
  std::string name;                 // PyTorch's: "3.weight"
  std::vector<std::int64_t> shape;  // [out, in] or [out]
  std::int64_t fan_in = 0;          // inputs of the Linear it belongs to
  std::size_t offset = 0;           // of its first number
  std::size_t count = 0;
};

// Weight and bias of each Linear, in this order. Names are those of nn.Sequential(Linear, activation,
// Dropout, Linear, ...), so that a Python program can load them; the Dropout counts also where its rate is 0.
std::vector<ParameterLayout> lay_out(const strategy::Model& model, std::int64_t inputs, std::int64_t classes);

std::size_t count_of(const std::vector<ParameterLayout>& layout);

// PyTorch's default for a Linear: uniform within 1 / sqrt(fan_in), from random.h.
void initialise(const std::vector<ParameterLayout>& layout, std::int64_t seed, std::span<float> parameters);

}  // namespace ktrdr::engine_torch
