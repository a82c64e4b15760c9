// The one generic encoder and decoder behind json.h. A wire type takes part by a table of its fields:
//
//   template <> struct Fields<HealthResponse> {
//     static constexpr auto kTable = std::tuple{field("success", &HealthResponse::success), required(...)};
//   };
//
// and one line KTRDR_WIRE_TYPE(HealthResponse); in a *_codec.cc. The same tables describe the types in
// OpenAPI: see schema_writer.h.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "ktrdr/api/checkpoint.h"
#include "ktrdr/api/json.h"
#include "ktrdr/api/operation.h"
#include "ktrdr/api/worker.h"

namespace ktrdr::api::internal {

using Json = nlohmann::ordered_json;

template <class T>
struct Fields;  // one specialisation per struct

template <class Owner, class Member>
struct Field {
  const char* name;
  Member Owner::*member;
  bool is_required;
  const char* description;   // for OpenAPI, where the name alone leaves a question; or null
  bool is_left_out = false;  // when it has no value, instead of being written as null
};

// A field that may be absent: it keeps its default.
template <class Owner, class Member>
constexpr Field<Owner, Member> field(const char* name, Member Owner::*member,
                                     const char* description = nullptr) {
  return {name, member, false, description};
}

template <class Owner, class Member>
constexpr Field<Owner, Member> required(const char* name, Member Owner::*member,
                                        const char* description = nullptr) {
  return {name, member, true, description};
}

// An optional that is only there when it has a value: for readers who take a null for a number.
template <class Owner, class Value>
constexpr Field<Owner, std::optional<Value>> when_known(const char* name, std::optional<Value> Owner::*member,
                                                        const char* description = nullptr) {
  return {name, member, false, description, true};
}

// Enums by name; the tables are in enums.cc.
template <class Enum>
struct EnumNames;  // static constexpr std::array<std::pair<Enum, const char*>, N> kTable

// Where we are in the document, for messages: "progress.context.epoch". Only a message makes a text of it: a
// document that is right, as nearly all are, pays for no names. The one around it is in the caller's frame.
struct Reader {
  UnknownKeys unknown = UnknownKeys::kRefuse;
  const Reader* around = nullptr;
  const char* key = nullptr;  // nullptr: the place `index` in a list
  std::size_t index = 0;

  std::string path() const {
    if (around == nullptr) return "";
    const std::string outside = around->path(), here = key == nullptr ? std::to_string(index) : key;
    return outside.empty() ? here : outside + "." + here;
  }
  std::string name() const { return around == nullptr ? "The body" : "'" + path() + "'"; }
  Error wrong(const std::string& expected) const {
    return {ErrorCode::kInvalidArgument, name() + " must be " + expected + "."};
  }
  Reader at(const char* member) const { return {unknown, this, member, 0}; }
  Reader at(std::size_t place) const { return {unknown, this, nullptr, place}; }
};

// ---- decoding: one overload per kind of value ----

template <class T>
concept HasFields = requires {
  Fields<T>::kTable;
};
template <class T>
concept HasNames = requires {
  EnumNames<T>::kTable;
};

Result<void> read(const Json& json, const Reader& reader, bool& value);
Result<void> read(const Json& json, const Reader& reader, std::int64_t& value);
Result<void> read(const Json& json, const Reader& reader, double& value);
Result<void> read(const Json& json, const Reader& reader, std::string& value);
Result<void> read(const Json& json, const Reader& reader, JsonText& value);
Result<void> read(const Json& json, const Reader& reader, CheckpointRef& value);
Result<void> refuse_unknown_keys(const Json& json, const Reader& reader, std::span<const char* const> known);

template <HasNames T>
Result<void> read(const Json& json, const Reader& reader, T& value);
template <HasFields T>
Result<void> read(const Json& json, const Reader& reader, T& value);
template <class T>
Result<void> read(const Json& json, const Reader& reader, std::optional<T>& value);
template <class T>
Result<void> read(const Json& json, const Reader& reader, std::vector<T>& value);

template <HasNames T>
Result<void> read(const Json& json, const Reader& reader, T& value) {
  std::string allowed;
  for (const auto& [candidate, name] : EnumNames<T>::kTable) {
    if (json.is_string() && json.get_ref<const std::string&>() == name) {
      value = candidate;
      return {};
    }
    allowed += (allowed.empty() ? "" : ", ") + std::string(name);
  }
  return reader.wrong("one of " + allowed);
}

template <class T>
Result<void> read(const Json& json, const Reader& reader, std::optional<T>& value) {
  if (json.is_null()) {
    value.reset();
    return {};
  }
  return read(json, reader, value.emplace());
}

template <class T>
Result<void> read(const Json& json, const Reader& reader, std::vector<T>& value) {
  if (!json.is_array()) return reader.wrong("a list");
  value.clear();
  for (std::size_t i = 0; i < json.size(); ++i) {
    TRY(read(json[i], reader.at(i), value.emplace_back()));
  }
  return {};
}

// `value` is an Owner, or made from one by inheritance.
template <class Owner, class Member, class T>
Result<void> read_field(const Json& json, const Reader& reader, const Field<Owner, Member>& field, T& value) {
  const auto found = json.find(field.name);
  if (found != json.end()) return read(*found, reader.at(field.name), value.*field.member);
  if (field.is_required) {
    return Error(ErrorCode::kInvalidArgument, "The key '" + reader.at(field.name).path() + "' is missing.");
  }
  return {};
}

template <HasFields T>
Result<void> read(const Json& json, const Reader& reader, T& value) {
  if (!json.is_object()) return reader.wrong("an object");
  return std::apply(
      [&](const auto&... fields) -> Result<void> {
        const char* known[] = {fields.name...};
        TRY(refuse_unknown_keys(json, reader, known));
        Result<void> result;
        static_cast<void>(((result = read_field(json, reader, fields, value), result.ok()) && ...));
        return result;
      },
      Fields<T>::kTable);
}

// ---- encoding: straight into the text, since a document made first would cost more than the row it is made
// of ----

template <HasNames T>
void write(const T& value, std::string& text);
template <HasFields T>
void write(const T& value, std::string& text);
template <class T>
void write(const std::optional<T>& value, std::string& text);
template <class T>
void write(const std::vector<T>& value, std::string& text);

void write(bool value, std::string& text);
void write(std::int64_t value, std::string& text);
void write(double value, std::string& text);  // null when it is no finite number
void write(const std::string& value, std::string& text);
void write(const JsonText& value, std::string& text);
void write(const CheckpointRef& value, std::string& text);

template <HasNames T>
void write(const T& value, std::string& text) {
  for (const auto& [candidate, name] : EnumNames<T>::kTable) {
    if (candidate == value) return static_cast<void>(text.append("\"").append(name).append("\""));
  }
  CHECK(false, "every enumerator has a name");
}

template <class T>
void write(const std::optional<T>& value, std::string& text) {
  if (value) write(*value, text);
  else text += "null";
}

template <class T>
void write(const std::vector<T>& value, std::string& text) {
  const char* separator = "[";
  for (const auto& item : value) {
    text += std::exchange(separator, ",");
    write(item, text);
  }
  text += value.empty() ? "[]" : "]";
}

template <class T>
bool is_known(const T&) {
  return true;
}
template <class T>
bool is_known(const std::optional<T>& value) {
  return value.has_value();
}

template <HasFields T>
void write(const T& value, std::string& text) {
  const char* separator = "";
  const auto write_field = [&](const auto& field) {
    if (field.is_left_out && !is_known(value.*field.member)) return;
    text.append(std::exchange(separator, ",")).append("\"").append(field.name).append("\":");
    write(value.*field.member, text);
  };
  text += "{";
  std::apply([&](const auto&... fields) { (write_field(fields), ...); }, Fields<T>::kTable);
  text += "}";
}

// One strict document; see json.h for what is refused.
Result<Json> parse(std::string_view text);
std::string dump(const Json& json, int indent);
Json parse_own(const std::string& text);      // what write() made
std::string pretty(const std::string& text);  // the same, for people

}  // namespace ktrdr::api::internal

namespace ktrdr::api {

template <class T>
Result<T> from_json(std::string_view text, UnknownKeys unknown) {
  TRY_ASSIGN(const internal::Json json, internal::parse(text));
  T value;
  TRY(internal::read(json, {unknown}, value));
  return value;
}

template <class T>
std::string to_json(const T& value) {
  std::string text;
  internal::write(value, text);
  return text;
}

template <class T>
std::string to_pretty_json(const T& value) {
  return internal::pretty(to_json(value));
}

}  // namespace ktrdr::api
