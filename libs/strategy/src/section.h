// One mapping of a strategy file while it is read: it remembers which keys were asked for, so that what is
// left over at the end is unknown, and it puts every value that does not fit on the list of problems.
//
//   void read_early_stopping(Section& section, EarlyStopping& stopping) {
//     section.integer("patience", stopping.patience, {1, 100'000});
//     section.choice("monitor", stopping.monitor, kMonitors);
//     section.refuse_unknown_keys();
//   }
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "problems.h"

namespace ktrdr::strategy {

// A node with what a message about it needs.
struct Value {
  YAML::Node node;
  int line = 1;  // of its key
  std::string path;
};

struct IntegerRange {
  std::int64_t minimum;
  std::int64_t maximum;
};

struct NumberRange {
  double minimum = std::numeric_limits<double>::lowest();
  double maximum = std::numeric_limits<double>::max();
  bool without_minimum = false;
  bool without_maximum = false;
};

template <class T>
struct Choice {
  std::string_view name;
  T value;
};

// The words that a key may hold: those we do, and those that are valid v3 but not built.
template <class T>
struct Choices {
  std::span<const Choice<T>> built;
  std::span<const std::string_view> not_built = {};

  Words built_names() const {
    Words names;
    for (const Choice<T>& choice : built) names.push_back(choice.name);
    return names;
  }
};

// Each reads a value or reports why not.
std::optional<std::string> read_text(const Value& value, Problems& problems);
std::optional<std::int64_t> read_integer(const Value& value, IntegerRange range, Problems& problems);
std::optional<double> read_number(const Value& value, NumberRange range, Problems& problems);
std::optional<bool> read_boolean(const Value& value, Problems& problems);
// `what` names the items: "whole numbers".
std::optional<std::vector<Value>> read_list(const Value& value, std::string_view what, Problems& problems);

// Reports a word that is none of `built`: unsupported or unknown.
void report_wrong_word(const Value& value, std::string_view word, const Words& built, const Words& not_built,
                       Problems& problems);

// Words are compared without case, as the Python system does. Nothing also when the word is not built.
std::string lower_case(std::string_view text);

template <class T>
std::optional<T> read_choice(const Value& value, const Choices<T>& choices, Problems& problems) {
  const std::optional<std::string> word = read_text(value, problems);
  if (!word) return std::nullopt;
  for (const Choice<T>& choice : choices.built) {
    if (choice.name == lower_case(*word)) return choice.value;
  }
  report_wrong_word(value, *word, choices.built_names(), {choices.not_built.begin(), choices.not_built.end()},
                    problems);
  return std::nullopt;
}

class Section {
 public:
  // A value that is no mapping is reported and then reads as an empty one without required keys.
  Section(const Value& value, Problems& problems);

  int line() const { return line_; }
  const std::string& path() const { return path_; }
  std::string path_of(std::string_view key) const;
  bool has(std::string_view key) const { return entries_.contains(std::string(key)); }
  Problems& problems() { return problems_; }

  // Marks `key` as known. nullptr when it is absent.
  const Value* find(std::string_view key);
  // The same; its absence is a problem. `hint` says what to write.
  const Value* require(std::string_view key, std::string_view hint);

  // Leave `target` alone when the key is absent or wrong.
  void text(std::string_view key, std::string& target);
  void integer(std::string_view key, std::int64_t& target, IntegerRange range);
  // False when a value is there but wrong.
  bool number(std::string_view key, double& target, NumberRange range);
  template <class T>
  void choice(std::string_view key, T& target, const Choices<T>& choices) {
    if (const Value* value = find(key)) {
      if (const auto chosen = read_choice(*value, choices, problems_)) target = *chosen;
    }
  }

  // Known, but read by other parts of the Python system or by none.
  void accept(std::initializer_list<std::string_view> keys);
  void accept_everything() { accepts_everything_ = true; }

  // In file order, for mappings whose keys are names that the author chose. Marks them all as known.
  struct Entry {
    std::string key;
    Value value;
  };
  std::vector<Entry> take_entries();

  // Call last.
  void refuse_unknown_keys();

 private:
  void take_entry(const YAML::Node& key, const YAML::Node& value);

  int line_;
  std::string path_;
  Problems& problems_;
  bool is_mapping_ = false;
  bool accepts_everything_ = false;
  std::map<std::string, Value, std::less<>> entries_;
  std::vector<std::string> order_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace ktrdr::strategy
