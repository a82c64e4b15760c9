#include "normalization.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

namespace ktrdr::strategy {
namespace {

using Rows = std::span<const double>;

void fit_minmax(Rows rows, Normalization& normalization) {
  const auto [least, greatest] = std::ranges::minmax(rows);
  normalization.offset = least;
  normalization.scale = greatest - least;
}

void fit_zscore(Rows rows, Normalization& normalization) {
  const auto count = static_cast<double>(rows.size());
  const double mean = std::accumulate(rows.begin(), rows.end(), 0.0) / count;
  double squares = 0;
  for (const double x : rows) squares += (x - mean) * (x - mean);
  normalization.offset = mean;
  normalization.scale = rows.size() > 1 ? std::sqrt(squares / (count - 1)) : 0;
}

}  // namespace

Normalization fit_normalization(const FeatureColumn& column, std::size_t begin, std::size_t end) {
  Normalization normalization{.feature = column.name, .method = column.normalization};
  const Rows rows = Rows(column.values).subspan(begin, end - begin);
  if (column.normalization == NormalizationMethod::kMinMax) fit_minmax(rows, normalization);
  if (column.normalization == NormalizationMethod::kZScore) fit_zscore(rows, normalization);
  if (normalization.scale == 0) normalization.scale = 1;
  return normalization;
}

void normalize_values(const Normalization& normalization, Series& values) {
  if (normalization.method == NormalizationMethod::kNone) return;
  for (double& x : values) x = (x - normalization.offset) / normalization.scale;
}

}  // namespace ktrdr::strategy
