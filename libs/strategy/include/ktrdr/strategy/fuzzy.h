// Fuzzy sets: how much a value belongs to "oversold", from 0 to 1.
//
//   triangular  a <= b <= c       0 outside (a, c), ramps to 1 at b
//   trapezoidal a <= b <= c <= d  0 outside (a, d), ramps to 1 on [b, c]
//   gaussian    mu, sigma > 0     exp(-((x - mu) / sigma)^2 / 2)
//
// Where a ramp has no width the peak wins: [60, 100, 100] at 100 is 1, [0, 0, 20, 40] at 0 is 1. (The Python
// system answers by two code paths that disagree at such edges; a set that starts at full membership has it
// there.) NaN in, NaN out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ktrdr::strategy {

enum class FuzzyShape { kTriangular, kTrapezoidal, kGaussian };

struct FuzzyMember {
  std::string name;
  FuzzyShape shape = FuzzyShape::kTriangular;
  std::vector<double> parameters;  // 3, 4 or 2 of them by shape, ordered as above

  bool operator==(const FuzzyMember&) const = default;
};

// "" when `parameters` fit `shape`, else what they must be.
std::string_view wrong_parameters(FuzzyShape shape, const std::vector<double>& parameters);

// `member` has parameters that fit its shape.
double membership(const FuzzyMember& member, double x);

}  // namespace ktrdr::strategy
