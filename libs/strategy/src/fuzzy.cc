#include "ktrdr/strategy/fuzzy.h"

#include <algorithm>
#include <cmath>

namespace ktrdr::strategy {
namespace {

// 1 on [b, c], ramps outside it, 0 from a and d on. A triangle has b = c.
double trapezoid(double x, double a, double b, double c, double d) {
  if (x >= b && x <= c) return 1;
  if (x <= a || x >= d) return 0;
  return x < b ? (x - a) / (b - a) : (d - x) / (d - c);
}

double gaussian(double x, double mu, double sigma) {
  const double distance = (x - mu) / sigma;
  return std::exp(-(distance * distance) / 2);
}

}  // namespace

std::string_view wrong_parameters(FuzzyShape shape, const std::vector<double>& parameters) {
  switch (shape) {
    case FuzzyShape::kTriangular:
      if (parameters.size() == 3 && std::ranges::is_sorted(parameters)) return "";
      return "a triangular set needs three numbers a <= b <= c";
    case FuzzyShape::kTrapezoidal:
      if (parameters.size() == 4 && std::ranges::is_sorted(parameters)) return "";
      return "a trapezoidal set needs four numbers a <= b <= c <= d";
    case FuzzyShape::kGaussian:
      if (parameters.size() == 2 && parameters[1] > 0) return "";
      return "a gaussian set needs two numbers mu and sigma, sigma above 0";
  }
  return "no such shape";
}

double membership(const FuzzyMember& member, double x) {
  if (std::isnan(x)) return x;
  const std::vector<double>& p = member.parameters;
  switch (member.shape) {
    case FuzzyShape::kTriangular: return trapezoid(x, p[0], p[1], p[1], p[2]);
    case FuzzyShape::kTrapezoidal: return trapezoid(x, p[0], p[1], p[2], p[3]);
    case FuzzyShape::kGaussian: return gaussian(x, p[0], p[1]);
  }
  return 0;
}

}  // namespace ktrdr::strategy
