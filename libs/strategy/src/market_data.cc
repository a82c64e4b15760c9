#include "ktrdr/strategy/market_data.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/durable_file.h"

namespace ktrdr::strategy {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostFileBytes = std::size_t{1} << 30;
constexpr std::size_t kMostColumns = 64;
constexpr std::array<std::string_view, 8> kTimeframes = {"1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"};
constexpr std::array<std::string_view, 3> kTimeNames = {"timestamp", "date", "time"};
constexpr std::array<std::string_view, 5> kPriceNames = {"open", "high", "low", "close", "volume"};
constexpr std::size_t kVolume = 4;

using Fields = std::array<std::string_view, kMostColumns>;

// Where each known column stands; time is always first.
struct Layout {
  std::size_t columns = 0;
  std::array<std::size_t, kPriceNames.size()> prices{};
};

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return result;
}

// A field's text for a message, without control characters.
std::string shown(std::string_view field) {
  std::string text(field.substr(0, 40));
  std::ranges::replace_if(
      text, [](char c) { return c < 0x20 || c == 0x7f; }, '?');  // also every non-ASCII byte
  return '"' + text + '"';
}

class CsvReader {
 public:
  CsvReader(std::string_view text, std::string_view file) : rest_(text), file_(file) {
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
  }

  Result<MarketData> read();

 private:
  Error wrong(const std::string& what) const {
    return {ErrorCode::kInvalidArgument, file_ + " line " + std::to_string(line_) + ": " + what};
  }
  bool next_line(std::string_view& line);
  std::size_t split(std::string_view line, Fields& fields) const;
  Result<Layout> read_header();
  Result<void> read_row(std::string_view line, const Layout& layout);
  Result<std::int64_t> read_time(std::string_view field) const;
  Result<double> read_number(std::string_view field, std::string_view column) const;
  Result<void> check_prices(const std::array<double, 5>& values) const;
  void append(std::int64_t time_ms, const std::array<double, 5>& values);
  void reserve();

  std::string_view rest_;
  std::string file_;
  std::size_t line_ = 0;  // of the line that was read last, from 1
  MarketData data_;
};

bool CsvReader::next_line(std::string_view& line) {
  if (rest_.empty()) return false;
  const std::size_t end = rest_.find('\n');
  line = rest_.substr(0, end);
  rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  ++line_;
  return true;
}

// The number of fields; kMostColumns + 1 when there are more than that.
std::size_t CsvReader::split(std::string_view line, Fields& fields) const {
  std::size_t count = 0;
  while (count < kMostColumns) {
    const std::size_t comma = line.find(',');
    fields[count++] = line.substr(0, comma);
    if (comma == std::string_view::npos) return count;
    line.remove_prefix(comma + 1);
  }
  return kMostColumns + 1;
}

Result<Layout> CsvReader::read_header() {
  std::string_view line;
  if (!next_line(line)) {
    line_ = 1;
    return wrong(
        "the file is empty; it needs the header timestamp,open,high,low,close,volume and one row per bar.");
  }
  Fields fields;
  Layout layout{.columns = split(line, fields)};
  if (layout.columns > kMostColumns)
    return wrong("has more than 64 columns; keep timestamp,open,high,low,close,volume.");
  if (std::ranges::find(kTimeNames, lower(fields[0])) == kTimeNames.end()) {
    return wrong("the first column is " + shown(fields[0]) +
                 "; the file needs a header whose first column is timestamp, date or time.");
  }
  std::string missing;
  for (std::size_t price = 0; price < kPriceNames.size(); ++price) {
    const auto is_it = [&](std::string_view field) { return lower(field) == kPriceNames[price]; };
    const auto begin = fields.begin() + 1, end = fields.begin() + static_cast<std::ptrdiff_t>(layout.columns);
    const auto found = std::find_if(begin, end, is_it);
    if (found == end) missing.append(missing.empty() ? "" : ", ").append(kPriceNames[price]);
    if (found != end && std::find_if(found + 1, end, is_it) != end) {
      return wrong("the column " + std::string(kPriceNames[price]) + " is there twice; keep one of them.");
    }
    layout.prices[price] = static_cast<std::size_t>(found - fields.begin());
  }
  if (!missing.empty())
    return wrong("the header lacks " + missing + "; it must name open, high, low, close and volume.");
  return layout;
}

Result<std::int64_t> CsvReader::read_time(std::string_view field) const {
  Result<std::int64_t> time = parse_iso8601_ms(field);
  if (!time.ok())
    return wrong("the time " + shown(field) + " can't be read; write it like 2024-01-31T23:00:00Z (UTC).");
  if (data_.timestamps_ms.empty() || *time > data_.timestamps_ms.back()) return time;
  if (*time == data_.timestamps_ms.back()) {
    return wrong("the time " + shown(field) + " is the same as the row's before; remove one of the two.");
  }
  return wrong("the time " + shown(field) + " is earlier than the row's before; sort the file by time.");
}

Result<double> CsvReader::read_number(std::string_view field, std::string_view column) const {
  double number = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), number);
  if (error == std::errc() && end == field.data() + field.size() && std::isfinite(number)) return number;
  if (field.empty()) return wrong(std::string(column) + " is empty; fill it in or remove the row.");
  return wrong(std::string(column) + " is " + shown(field) +
               ", not a finite number; mend it or remove the row.");
}

Result<void> CsvReader::check_prices(const std::array<double, 5>& values) const {
  for (std::size_t price = 0; price < kVolume; ++price) {
    if (values[price] <= 0) {
      return wrong(std::string(kPriceNames[price]) + " is not above 0; mend it or remove the row.");
    }
  }
  if (values[1] < values[2]) return wrong("high is below low; mend it or remove the row.");
  return {};
}

Result<void> CsvReader::read_row(std::string_view line, const Layout& layout) {
  Fields fields;
  if (const std::size_t count = split(line, fields); count != layout.columns) {
    return wrong("has " + (count > kMostColumns ? "more than 64" : std::to_string(count)) +
                 " fields where the header has " + std::to_string(layout.columns) +
                 "; mend or remove the row.");
  }
  TRY_ASSIGN(const std::int64_t time_ms, read_time(fields[0]));
  std::array<double, 5> values{};
  for (std::size_t i = 0; i < values.size(); ++i) {
    TRY_ASSIGN(values[i], read_number(fields[layout.prices[i]], kPriceNames[i]));
  }
  TRY(check_prices(values));
  values[kVolume] = values[kVolume] < 0 ? 0.0 : values[kVolume] + 0.0;  // + 0.0: no negative zero
  append(time_ms, values);
  return {};
}

void CsvReader::append(std::int64_t time_ms, const std::array<double, 5>& values) {
  data_.timestamps_ms.push_back(time_ms);
  data_.open.push_back(values[0]);
  data_.high.push_back(values[1]);
  data_.low.push_back(values[2]);
  data_.close.push_back(values[3]);
  data_.volume.push_back(values[4]);
}

void CsvReader::reserve() {
  const auto rows = static_cast<std::size_t>(std::ranges::count(rest_, '\n')) + 1;
  data_.timestamps_ms.reserve(rows);
  for (std::vector<double>* column : {&data_.open, &data_.high, &data_.low, &data_.close, &data_.volume}) {
    column->reserve(rows);
  }
}

Result<MarketData> CsvReader::read() {
  TRY_ASSIGN(const Layout layout, read_header());
  reserve();
  std::string_view line;
  while (next_line(line)) {
    if (line.empty() && rest_.empty()) break;  // one empty line at the end
    TRY(read_row(line, layout));
  }
  if (data_.rows() == 0) return wrong("the file has a header but no rows; add one row per bar.");
  return std::move(data_);
}

// Names in `folder` like EURUSD_1h.csv, sorted, at most ten, for a message.
std::string available(const fs::path& folder) {
  constexpr std::size_t kMostShown = 10;
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string stem = entry->path().stem().string();
    const std::size_t mark = stem.rfind('_');
    if (entry->path().extension() != ".csv" || mark == std::string::npos) continue;
    if (is_valid_symbol(stem.substr(0, mark)) && is_timeframe(stem.substr(mark + 1))) {
      names.push_back(stem.substr(0, mark) + " " + stem.substr(mark + 1));
    }
  }
  if (names.empty()) return "the folder has no market data files (SYMBOL_timeframe.csv)";
  std::ranges::sort(names);
  std::string text = "the folder has ";
  for (std::size_t i = 0; i < std::min(names.size(), kMostShown); ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kMostShown ? text + " and " + std::to_string(names.size() - kMostShown) + " more"
                                   : text;
}

Result<void> check_names(std::string_view symbol, std::string_view timeframe) {
  if (!is_valid_symbol(symbol)) {
    return Error(ErrorCode::kInvalidArgument,
                 shown(symbol) + " is no symbol: 1 to 20 letters, digits, _, . or -, without \"..\".");
  }
  if (!is_timeframe(timeframe)) {
    return Error(ErrorCode::kInvalidArgument,
                 shown(timeframe) + " is no timeframe: allowed are 1m, 5m, 15m, 30m, 1h, 4h, 1d and 1w.");
  }
  return {};
}

}  // namespace

std::span<const std::string_view> timeframes() { return kTimeframes; }

bool is_timeframe(std::string_view text) { return std::ranges::find(kTimeframes, text) != kTimeframes.end(); }

bool is_valid_symbol(std::string_view text) {
  return !text.empty() && text.size() <= 20 && text.find("..") == std::string_view::npos &&
         std::ranges::all_of(text, [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
                  c == '.' || c == '-';
         });
}

const std::vector<double>& MarketData::column(PriceColumn which) const {
  switch (which) {
    case PriceColumn::kOpen: return open;
    case PriceColumn::kHigh: return high;
    case PriceColumn::kLow: return low;
    case PriceColumn::kClose: return close;
    case PriceColumn::kVolume: return volume;
  }
  CHECK(false, "the switch names every column");
  return close;
}

MarketData MarketData::slice(std::size_t begin, std::size_t end) const {
  CHECK(begin <= end && end <= rows(), "a slice lies inside the data");
  const auto cut = [&](const auto& column) {
    return std::decay_t<decltype(column)>(column.begin() + static_cast<std::ptrdiff_t>(begin),
                                          column.begin() + static_cast<std::ptrdiff_t>(end));
  };
  return {symbol, timeframe, cut(timestamps_ms), cut(open), cut(high), cut(low), cut(close), cut(volume)};
}

Result<MarketData> parse_market_data(std::string_view csv, std::string_view file) {
  return CsvReader(csv, file).read();
}

Result<MarketData> load_market_data(const fs::path& folder, std::string_view symbol,
                                    std::string_view timeframe) {
  TRY(check_names(symbol, timeframe));
  const fs::path file = folder / (std::string(symbol) + '_' + std::string(timeframe) + ".csv");
  std::error_code error;
  if (!fs::is_regular_file(file, error)) {
    return Error(ErrorCode::kNotFound, "There is no market data " + file.string() + ": " + available(folder) +
                                           ". Put the file there or change symbol and timeframe.");
  }
  TRY_ASSIGN(const std::string text, read_file(file, kMostFileBytes));
  TRY_ASSIGN(MarketData data, parse_market_data(text, file.string()));
  data.symbol = symbol;
  data.timeframe = timeframe;
  return data;
}

}  // namespace ktrdr::strategy
