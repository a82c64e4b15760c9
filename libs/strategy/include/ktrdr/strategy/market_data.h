// Market data: bars of one symbol in one timeframe, read from `<folder>/<SYMBOL>_<timeframe>.csv`.
//
// The file is read strictly, because a training runs for hours on what it says: a header, a time column
// (timestamp, date or time) first, then open, high, low, close and volume under any case and in any order;
// more columns may follow and are not read. Times grow, prices are finite and positive. Nothing is repaired,
// with one exception: a negative volume, the FX brokers' sign for "unknown", becomes 0.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/core/result.h"

namespace ktrdr::strategy {

enum class PriceColumn { kOpen, kHigh, kLow, kClose, kVolume };

// Columns of equal length, oldest bar first. Plain data: as thread-safe as a vector.
struct MarketData {
  std::string symbol;
  std::string timeframe;
  std::vector<std::int64_t> timestamps_ms;     // UTC, strictly increasing: when the bar opened
  std::vector<double> open, high, low, close;  // quote currency
  std::vector<double> volume;                  // >= 0

  std::size_t rows() const { return timestamps_ms.size(); }
  const std::vector<double>& column(PriceColumn which) const;
  // The bars in [begin, end).
  MarketData slice(std::size_t begin, std::size_t end) const;

  bool operator==(const MarketData&) const = default;
};

std::span<const std::string_view> timeframes();  // 1m 5m 15m 30m 1h 4h 1d 1w
bool is_timeframe(std::string_view text);
// [A-Za-z0-9_.-]{1,20} without "..": safe in a file name.
bool is_valid_symbol(std::string_view text);

// kInvalidArgument names the file, the line (from 1) and what to do; kNotFound lists what the folder has.
Result<MarketData> load_market_data(const std::filesystem::path& folder, std::string_view symbol,
                                    std::string_view timeframe);

// The same from text; `file` is only for messages.
Result<MarketData> parse_market_data(std::string_view csv, std::string_view file);

}  // namespace ktrdr::strategy
