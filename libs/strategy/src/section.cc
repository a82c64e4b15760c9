#include "section.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace ktrdr::strategy {
namespace {

bool is_quoted(const YAML::Node& node) { return node.Tag() == "!"; }

std::string shown(const YAML::Node& node) {
  if (node.IsNull()) return "nothing";
  if (node.IsMap()) return "a mapping";
  if (node.IsSequence()) return "a list";
  return (is_quoted(node) ? "the text " : "") + in_quotes(node.Scalar());
}

template <class Number>
std::optional<Number> parse_whole(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<double> parse_number(std::string_view text) {
  const std::optional<double> number = parse_whole<double>(text);
  return number && std::isfinite(*number) ? number : std::nullopt;
}

// "010" is 8 to some YAML readers and 10 to others, so it is no integer here.
std::optional<std::int64_t> parse_integer(std::string_view text) {
  const std::string_view digits = text.substr(text.starts_with('-') || text.starts_with('+') ? 1 : 0);
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  return parse_whole<std::int64_t>(text);
}

bool is_word_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, lower_case(text)) != words.end();
}

bool reads_as_another_type(std::string_view text) {
  return parse_number(text).has_value() || is_word_of(text, {"true", "false", "yes", "no", "on", "off"});
}

std::string range_text(NumberRange range) {
  const NumberRange open;
  std::string text = "a number";
  if (range.minimum != open.minimum) {
    text += (range.without_minimum ? " above " : " of at least ") + number_text(range.minimum);
  }
  if (range.maximum != open.maximum) {
    text += range.minimum != open.minimum ? " and" : "";
    text += (range.without_maximum ? " below " : " at most ") + number_text(range.maximum);
  }
  return text;
}

bool fits(double number, NumberRange range) {
  const bool above = range.without_minimum ? number > range.minimum : number >= range.minimum;
  const bool below = range.without_maximum ? number < range.maximum : number <= range.maximum;
  return above && below;
}

void report_wrong_value(const Value& value, const std::string& wanted, Problems& problems) {
  problems.invalid(value.line, value.path, "must be " + wanted + ", not " + shown(value.node));
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::optional<std::string> read_text(const Value& value, Problems& problems) {
  if (!value.node.IsScalar()) {
    report_wrong_value(value, "a text", problems);
    return std::nullopt;
  }
  const std::string& text = value.node.Scalar();
  if (!is_quoted(value.node) && reads_as_another_type(text)) {
    problems.invalid(value.line, value.path, "must be a text; put it in quotes: \"" + text + "\"");
    return std::nullopt;
  }
  return text;
}

std::optional<std::int64_t> read_integer(const Value& value, IntegerRange range, Problems& problems) {
  if (value.node.IsScalar() && !is_quoted(value.node)) {
    const std::optional<std::int64_t> number = parse_integer(value.node.Scalar());
    if (number && *number >= range.minimum && *number <= range.maximum) return number;
  }
  report_wrong_value(
      value, "a whole number from " + std::to_string(range.minimum) + " to " + std::to_string(range.maximum),
      problems);
  return std::nullopt;
}

std::optional<double> read_number(const Value& value, NumberRange range, Problems& problems) {
  if (value.node.IsScalar() && !is_quoted(value.node)) {
    const std::optional<double> number = parse_number(value.node.Scalar());
    if (number && fits(*number, range)) return number;
  }
  report_wrong_value(value, range_text(range), problems);
  return std::nullopt;
}

std::optional<bool> read_boolean(const Value& value, Problems& problems) {
  if (value.node.IsScalar() && !is_quoted(value.node)) {
    if (is_word_of(value.node.Scalar(), {"true", "yes", "on"})) return true;
    if (is_word_of(value.node.Scalar(), {"false", "no", "off"})) return false;
  }
  report_wrong_value(value, "true or false", problems);
  return std::nullopt;
}

std::optional<std::vector<Value>> read_list(const Value& value, std::string_view what, Problems& problems) {
  if (!value.node.IsSequence()) {
    report_wrong_value(value, "a list of " + std::string(what), problems);
    return std::nullopt;
  }
  std::vector<Value> items;
  for (const auto& item : value.node) {
    items.push_back(
        {item, std::max(item.Mark().line, 0) + 1, value.path + '[' + std::to_string(items.size()) + ']'});
  }
  return items;
}

void report_wrong_word(const Value& value, std::string_view word, const Words& built, const Words& not_built,
                       Problems& problems) {
  if (std::ranges::find(not_built, lower_case(word)) != not_built.end()) {
    problems.unsupported(value.line, value.path, in_quotes(word), listed(built));
    return;
  }
  problems.invalid(
      value.line, value.path,
      in_quotes(word) + " is not known" + suggestion(lower_case(word), built) + " allowed: " + listed(built));
}

Section::Section(const Value& value, Problems& problems)
    : line_(value.line), path_(value.path), problems_(problems), is_mapping_(value.node.IsMap()) {
  if (!is_mapping_) {
    report_wrong_value(value, "a mapping (key: value)", problems_);
    return;
  }
  for (const auto& entry : value.node) take_entry(entry.first, entry.second);
}

void Section::take_entry(const YAML::Node& key, const YAML::Node& value) {
  const int line = std::max(key.Mark().line, 0) + 1;
  if (!key.IsScalar()) {
    problems_.invalid(line, path_, "has a key that is " + shown(key) + "; keys are words");
    return;
  }
  // Of a key that is there twice (reported when the file was loaded) the first counts.
  if (entries_.try_emplace(key.Scalar(), Value{value, line, path_of(key.Scalar())}).second) {
    order_.push_back(key.Scalar());
  }
}

std::string Section::path_of(std::string_view key) const {
  return path_.empty() ? path_word(key) : path_ + '.' + path_word(key);
}

const Value* Section::find(std::string_view key) {
  known_.emplace(key);
  const auto entry = entries_.find(key);
  return entry == entries_.end() ? nullptr : &entry->second;
}

const Value* Section::require(std::string_view key, std::string_view hint) {
  const Value* value = find(key);
  if (value == nullptr && is_mapping_) {
    problems_.invalid(line_, path_of(key), "is missing; write " + std::string(hint));
  }
  return value;
}

void Section::text(std::string_view key, std::string& target) {
  if (const Value* value = find(key)) target = read_text(*value, problems_).value_or(target);
}

void Section::integer(std::string_view key, std::int64_t& target, IntegerRange range) {
  if (const Value* value = find(key)) target = read_integer(*value, range, problems_).value_or(target);
}

bool Section::number(std::string_view key, double& target, NumberRange range) {
  const Value* value = find(key);
  if (value == nullptr) return true;
  const std::optional<double> number = read_number(*value, range, problems_);
  target = number.value_or(target);
  return number.has_value();
}

void Section::accept(std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) known_.emplace(key);
}

std::vector<Section::Entry> Section::take_entries() {
  std::vector<Entry> entries;
  for (const std::string& key : order_) {
    if (known_.emplace(key).second) entries.push_back({key, entries_.at(key)});
  }
  return entries;
}

void Section::refuse_unknown_keys() {
  if (accepts_everything_) return;
  const Words known(known_.begin(), known_.end());
  for (const std::string& key : order_) {
    if (known_.contains(key)) continue;
    problems_.invalid(entries_.at(key).line, path_of(key),
                      "is not a key here" + suggestion(key, known) + " known here: " + listed(known));
  }
}

}  // namespace ktrdr::strategy
