// schema_of<T>: one overload per kind of value, as in codec.h, whose encoder and decoder this describes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "codec.h"
#include "ktrdr/api/schema.h"

namespace ktrdr::api::internal {

// "Operation" for ktrdr::api::Operation: the name of the struct is the name of the component.
template <class T>
std::string type_name() {
  std::string_view text = __PRETTY_FUNCTION__;  // "... type_name() [with T = ktrdr::api::Operation; ...]"
  text = text.substr(text.find("T = ") + 4);
  text = text.substr(0, text.find_first_of(";]"));
  return std::string(text.substr(text.rfind(':') + 1));
}

template <class T>
struct Kind {};  // chooses the overload, without a value

// What a field that says nothing is not: `null` joins the types that are allowed already.
Json or_null(Json schema);

Json schema(Kind<bool>, SchemaSet&, Direction);
Json schema(Kind<std::int64_t>, SchemaSet&, Direction);
Json schema(Kind<double>, SchemaSet&, Direction);
Json schema(Kind<std::string>, SchemaSet&, Direction);
Json schema(Kind<JsonText>, SchemaSet&, Direction);
Json schema(Kind<CheckpointRef>, SchemaSet&, Direction);
template <HasNames T>
Json schema(Kind<T>, SchemaSet& set, Direction direction);
template <HasFields T>
Json schema(Kind<T>, SchemaSet& set, Direction direction);
template <class T>
Json schema(Kind<std::optional<T>>, SchemaSet& set, Direction direction);
template <class T>
Json schema(Kind<std::vector<T>>, SchemaSet& set, Direction direction);

template <HasNames T>
Json schema(Kind<T>, SchemaSet&, Direction) {
  Json words = Json::array();
  for (const auto& [value, name] : EnumNames<T>::kTable) words.push_back(name);
  return {{"type", "string"}, {"enum", std::move(words)}};
}

template <class T>
Json schema(Kind<std::optional<T>>, SchemaSet& set, Direction direction) {
  return or_null(schema(Kind<T>{}, set, direction));
}

template <class T>
Json schema(Kind<std::vector<T>>, SchemaSet& set, Direction direction) {
  return {{"type", "array"}, {"items", schema(Kind<T>{}, set, direction)}};
}

template <class Owner, class Member>
void add_field(Json& object, const Field<Owner, Member>& field, SchemaSet& set, Direction direction) {
  Json& property = object["properties"][field.name] = schema(Kind<Member>{}, set, direction);
  if (field.description != nullptr) property["description"] = field.description;
  const bool is_always_written = direction == Direction::kAnswer && !field.is_left_out;
  if (field.is_required || is_always_written) object["required"].push_back(field.name);
}

template <HasFields T>
Json object_schema(SchemaSet& set, Direction direction) {
  Json object = {{"type", "object"},
                 {"properties", Json::object()},
                 {"required", Json::array()},
                 {"additionalProperties", false}};
  std::apply([&](const auto&... fields) { (add_field(object, fields, set, direction), ...); },
             Fields<T>::kTable);
  return object;
}

template <HasFields T>
Json schema(Kind<T>, SchemaSet& set, Direction direction) {
  const std::string name = set.name_of(type_name<T>(), direction);
  if (set.begin(type_name<T>(), direction)) set.put(name, dump(object_schema<T>(set, direction), -1));
  return {{"$ref", "#/components/schemas/" + name}};
}

}  // namespace ktrdr::api::internal

namespace ktrdr::api {

template <class T>
std::string schema_of(SchemaSet& set, Direction direction) {
  return internal::dump(internal::schema(internal::Kind<T>{}, set, direction), -1);
}

}  // namespace ktrdr::api

// Inside namespace ktrdr::api: everything that a type of the wire can do.
#define KTRDR_WIRE_TYPE(Type)                                           \
  template Result<Type> from_json<Type>(std::string_view, UnknownKeys); \
  template std::string to_json<Type>(const Type&);                      \
  template std::string to_pretty_json<Type>(const Type&);               \
  template std::string schema_of<Type>(SchemaSet&, Direction)
