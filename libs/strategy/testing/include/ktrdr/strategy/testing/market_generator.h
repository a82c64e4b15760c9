// Bars for tests and benchmarks: a seeded random walk that is the same on every machine (integers and plain
// double arithmetic only), in any number of rows.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "ktrdr/core/check.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/strategy/market_data.h"

namespace ktrdr::strategy::testing {

struct MarketRecipe {
  std::string symbol = "EURUSD";
  std::string timeframe = "1h";
  std::int64_t rows = 1000;
  std::uint64_t seed = 1;
  std::int64_t start_ms = 1'420'070'400'000;  // 2015-01-01T00:00:00Z
  std::int64_t step_ms = 3'600'000;
  double step_size = 0.002;  // the largest relative move of a bar
};

// SplitMix64 (Steele, Lea, Flood 2014).
class RandomStream {
 public:
  explicit RandomStream(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
  }
  // In [-1, 1).
  double symmetric() { return static_cast<double>(next() >> 11U) * 0x1.0p-52 - 1; }

 private:
  std::uint64_t state_;
};

// Prices have five decimals, so that they come back from a CSV file bit by bit.
inline double five_decimals(double price) { return std::round(price * 1e5) / 1e5; }

inline MarketData make_market(const MarketRecipe& recipe) {
  MarketData data;
  data.symbol = recipe.symbol;
  data.timeframe = recipe.timeframe;
  RandomStream random(recipe.seed);
  double price = 1.2;
  for (std::int64_t row = 0; row < recipe.rows; ++row) {
    const double open = price;
    // Pulled gently towards 1.2, so that no walk reaches zero.
    price = five_decimals(price * (1 + recipe.step_size * random.symmetric() + 0.001 * (1.2 - price)));
    const double spread = recipe.step_size / 2;
    data.timestamps_ms.push_back(recipe.start_ms + row * recipe.step_ms);
    data.open.push_back(open);
    data.high.push_back(five_decimals(std::max(open, price) * (1 + spread * std::abs(random.symmetric()))));
    data.low.push_back(five_decimals(std::min(open, price) * (1 - spread * std::abs(random.symmetric()))));
    data.close.push_back(price);
    data.volume.push_back(static_cast<double>(100 + random.next() % 5000));
  }
  return data;
}

inline std::string csv_of(const MarketData& data) {
  std::string text = "timestamp,open,high,low,close,volume\n";
  char line[160];
  for (std::size_t row = 0; row < data.rows(); ++row) {
    const std::string time = iso8601_utc(data.timestamps_ms[row]);
    std::snprintf(line, sizeof line, "%s,%.5f,%.5f,%.5f,%.5f,%.0f\n", time.c_str(), data.open[row],
                  data.high[row], data.low[row], data.close[row], data.volume[row]);
    text += line;
  }
  return text;
}

// Writes `<folder>/<SYMBOL>_<timeframe>.csv`.
inline std::filesystem::path write_market(const std::filesystem::path& folder, const MarketData& data) {
  const std::filesystem::path file = folder / (data.symbol + "_" + data.timeframe + ".csv");
  std::ofstream stream(file, std::ios::binary);
  stream << csv_of(data);
  stream.close();
  CHECK(stream.good(), "tests can write their own folder");
  return file;
}

}  // namespace ktrdr::strategy::testing
