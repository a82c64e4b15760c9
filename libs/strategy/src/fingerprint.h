#pragma once

#include <string>

#include "ktrdr/strategy/dataset.h"

namespace ktrdr::strategy {

// SHA-256 over the selected bars and everything in `dataset` but its fingerprint, as raw little-endian bits,
// each part preceded by its name and its number of elements, so that no two contents share their bytes.
std::string fingerprint_of(const MarketData& selected, const Dataset& dataset);

}  // namespace ktrdr::strategy
