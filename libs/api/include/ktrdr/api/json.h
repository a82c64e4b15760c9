// JSON in and out for every wire type of this library. Only this library sees a JSON parser.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/core/result.h"

namespace ktrdr::api {

// A JSON value that we carry but don't read (a result, a client's parameters). Always valid JSON: from_json()
// checks it.
struct JsonText {
  std::string text = "null";
  bool operator==(const JsonText&) const = default;
};

enum class UnknownKeys { kRefuse, kIgnore };

// Reads one JSON document. kInvalidArgument names the key and what would be right. Refused besides wrong
// types: missing required keys, unknown keys (unless ignored), duplicate keys, depth over 32, invalid UTF-8,
// numbers out of range. Implemented for the types whose fields are listed in src/*_fields.h and for JsonText.
template <class T>
Result<T> from_json(std::string_view text, UnknownKeys unknown = UnknownKeys::kRefuse);

// Writes all fields in the order of their table; NaN and infinity become null, an absent optional becomes
// null.
template <class T>
std::string to_json(const T& value);

// The same, indented for people and for files in a finished model's folder.
template <class T>
std::string to_pretty_json(const T& value);

// The text of the member `name` of the JSON object `object`, or nothing when there is none.
std::string member_of(const JsonText& object, std::string_view name);

}  // namespace ktrdr::api
