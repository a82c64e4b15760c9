// JSON Schema (2020-12, as OpenAPI 3.1 uses it) of every wire type, made from the same field tables that
// encode and decode: what a table says is what goes over the wire, so the two can't drift apart.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktrdr::api {

// A request may leave out what has a default, and no number in it is null; an answer has every key, and a
// number that is not finite is null there.
enum class Direction { kRequest, kAnswer };

// The component schemas that a document needs, by name. A type that occurs in both directions has two:
// `Progress` as answers have it and `ProgressInput` as requests may. Because that is known only when all uses
// are, a document is described twice into the same set, with forget_texts() in between. Not thread-safe.
class SchemaSet {
 public:
  const std::map<std::string, std::string>& components() const { return components_; }  // name to JSON text

  std::string name_of(const std::string& type, Direction direction);
  // True for the first who asks, in each pass: it then describes the type.
  bool begin(const std::string& type, Direction direction) { return begun_.emplace(type, direction).second; }
  void put(const std::string& name, std::string json) { components_[name] = std::move(json); }
  void forget_texts() {
    components_.clear();
    begun_.clear();
  }

 private:
  std::map<std::string, std::set<Direction>> uses_;
  std::set<std::pair<std::string, Direction>> begun_;
  std::map<std::string, std::string> components_;
};

// The JSON text of T's schema (for a struct a $ref), after putting all it refers to into the set. Implemented
// for the types of json.h.
template <class T>
std::string schema_of(SchemaSet& set, Direction direction);

// The words of an enum on the wire, and back. Implemented for the enums of operation.h and checkpoint.h.
template <class Enum>
std::vector<std::string> words_of();
template <class Enum>
std::optional<Enum> value_of(std::string_view word);

// schema_of<T> as a value, for tables.
using SchemaFunction = std::string (*)(SchemaSet&, Direction);

}  // namespace ktrdr::api
