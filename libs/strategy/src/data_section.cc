// training_data: which symbol, which timeframe, which dates.
#include <algorithm>

#include "ktrdr/core/clock.h"
#include "ktrdr/strategy/market_data.h"
#include "strategy_sections.h"

namespace ktrdr::strategy {
namespace {

constexpr IntegerRange kHistoryRequired{50, 10'000'000};

enum class Mode { kSingle };
constexpr Choice<Mode> kModes[] = {{"single", Mode::kSingle}};
constexpr std::string_view kSymbolModesNotBuilt[] = {"multi_symbol"};
constexpr std::string_view kTimeframeModesNotBuilt[] = {"multi_timeframe"};

// The one item of `<key>: item` or `<list_key>: [item]`.
std::optional<Value> single_item(Section& section, std::string_view key, std::string_view list_key) {
  const Value* item = section.find(key);
  const Value* list = section.find(list_key);
  Problems& problems = section.problems();
  if (item != nullptr && list != nullptr) {
    problems.invalid(list->line, list->path,
                     "is written beside " + section.path_of(key) + "; keep one of them");
  }
  if (item != nullptr) return *item;
  if (list == nullptr) {
    section.require(key, "one " + std::string(key));
    return std::nullopt;
  }
  const auto items = read_list(*list, "one " + std::string(key), problems);
  if (!items) return std::nullopt;
  if (items->size() == 1) return items->front();
  problems.invalid(list->line, list->path, "must have exactly one entry, because the mode is single");
  return std::nullopt;
}

// Reports a mode that is not built; then nothing else in the section can be checked.
bool mode_is_single(Section& section, std::span<const std::string_view> not_built) {
  const Value* mode = section.require("mode", "mode: single");
  const bool single =
      mode != nullptr && read_choice(*mode, Choices<Mode>{kModes, not_built}, section.problems());
  if (!single) section.accept_everything();
  return single;
}

void read_symbol(Section& section, std::string& symbol) {
  if (!mode_is_single(section, kSymbolModesNotBuilt)) return;
  const auto item = single_item(section, "symbol", section.has("symbols") ? "symbols" : "list");
  section.refuse_unknown_keys();
  if (!item) return;
  const auto text = read_text(*item, section.problems());
  if (!text) return;
  symbol = *text;
  if (!is_valid_symbol(symbol)) {
    section.problems().invalid(
        item->line, item->path,
        in_quotes(symbol) + " is no symbol; 1 to 20 letters, digits, _, . or -, without \"..\"");
  }
}

std::optional<std::string> read_timeframe_name(const Value& value, Problems& problems) {
  const auto text = read_text(value, problems);
  if (!text || is_timeframe(*text)) return text;
  const Words known(timeframes().begin(), timeframes().end());
  problems.invalid(value.line, value.path, in_quotes(*text) + " is no timeframe; allowed: " + listed(known));
  return std::nullopt;
}

void read_timeframe(Section& section, std::string& timeframe) {
  if (!mode_is_single(section, kTimeframeModesNotBuilt)) return;
  const auto item = single_item(section, "timeframe", section.has("timeframes") ? "timeframes" : "list");
  const Value* base = section.find("base_timeframe");
  section.refuse_unknown_keys();
  if (item) timeframe = read_timeframe_name(*item, section.problems()).value_or("");
  if (base == nullptr) return;
  const auto base_name = read_timeframe_name(*base, section.problems());
  if (base_name && !timeframe.empty() && *base_name != timeframe) {
    section.problems().invalid(
        base->line, base->path,
        in_quotes(*base_name) + " is not the timeframe that is trained on, " + in_quotes(timeframe));
  }
}

// Two places may name a date; two different dates are a mistake.
void set_date(const Value& value, bool is_end, std::optional<std::int64_t>& target, Problems& problems) {
  const auto text = read_text(value, problems);
  if (!text) return;
  const auto moment = is_end ? parse_end_date_ms(*text) : parse_iso8601_ms(*text);
  if (!moment.ok()) {
    problems.invalid(
        value.line, value.path,
        in_quotes(*text) + " is no date; write it like 2024-01-31 or 2024-01-31T23:59:59Z (UTC)");
  } else if (target && *target != *moment) {
    problems.invalid(value.line, value.path,
                     "names another date than the file does elsewhere; keep one of them");
  } else {
    target = *moment;
  }
}

void check_date_order(const Value& value, const Strategy& strategy, Problems& problems) {
  if (strategy.start_ms && strategy.end_ms && *strategy.start_ms > *strategy.end_ms) {
    problems.invalid(value.line, value.path, "ends before it starts");
  }
}

}  // namespace

void read_date_range(const Value& value, Strategy& strategy, Problems& problems) {
  Section section(value, problems);
  if (const Value* start = section.find("start")) set_date(*start, false, strategy.start_ms, problems);
  if (const Value* end = section.find("end")) set_date(*end, true, strategy.end_ms, problems);
  section.refuse_unknown_keys();
  check_date_order(value, strategy, problems);
}

void read_training_data(Section& section, Strategy& strategy) {
  Problems& problems = section.problems();
  if (const Value* symbols = section.require("symbols", "symbols: {mode: single, symbol: EURUSD}")) {
    Section inner(*symbols, problems);
    read_symbol(inner, strategy.symbol);
  }
  if (const Value* frames = section.require("timeframes", "timeframes: {mode: single, timeframe: 1h}")) {
    Section inner(*frames, problems);
    read_timeframe(inner, strategy.timeframe);
  }
  std::int64_t unused = 0;  // the Python system checks it and then reads it no more
  section.integer("history_required", unused, kHistoryRequired);
  if (const Value* start = section.find("start_date")) set_date(*start, false, strategy.start_ms, problems);
  if (const Value* end = section.find("end_date")) {
    set_date(*end, true, strategy.end_ms, problems);
    check_date_order(*end, strategy, problems);
  }
  if (const Value* range = section.find("date_range")) read_date_range(*range, strategy, problems);
  section.refuse_unknown_keys();
}

}  // namespace ktrdr::strategy
