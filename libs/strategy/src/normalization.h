#pragma once

#include "feature_columns.h"
#include "ktrdr/strategy/dataset.h"

namespace ktrdr::strategy {

// Constants of one raw column from rows [begin, end): minmax (x - min) / (max - min), zscore (x - mean) / std
// with n - 1 in the divisor.
Normalization fit_normalization(const FeatureColumn& column, std::size_t begin, std::size_t end);
void normalize_values(const Normalization& normalization, Series& values);

}  // namespace ktrdr::strategy
