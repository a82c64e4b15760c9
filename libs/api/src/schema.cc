#include "ktrdr/api/schema.h"

#include "enums.h"
#include "schema_writer.h"

namespace ktrdr::api {

std::string SchemaSet::name_of(const std::string& type, Direction direction) {
  auto& uses = uses_[type];
  uses.insert(direction);
  return direction == Direction::kRequest && uses.size() == 2 ? type + "Input" : type;
}

template <class Enum>
std::vector<std::string> words_of() {
  std::vector<std::string> words;
  for (const auto& [value, word] : internal::EnumNames<Enum>::kTable) words.emplace_back(word);
  return words;
}

template <class Enum>
std::optional<Enum> value_of(std::string_view word) {
  return internal::named<Enum>(word);
}

template std::vector<std::string> words_of<OperationStatus>();
template std::optional<OperationStatus> value_of<OperationStatus>(std::string_view);
template std::vector<std::string> words_of<CheckpointType>();
template std::optional<CheckpointType> value_of<CheckpointType>(std::string_view);

template std::string schema_of<JsonText>(SchemaSet&, Direction);

}  // namespace ktrdr::api

namespace ktrdr::api::internal {

Json or_null(Json schema) {
  if (schema.contains("enum")) schema["enum"].push_back(nullptr);
  if (schema.contains("$ref")) return {{"anyOf", {std::move(schema), {{"type", "null"}}}}};
  if (!schema.contains("type")) return schema;  // anything, so also null
  Json& type = schema["type"];
  if (!type.is_array()) type = Json::array({type, "null"});
  return schema;
}

Json schema(Kind<bool>, SchemaSet&, Direction) { return {{"type", "boolean"}}; }
Json schema(Kind<std::int64_t>, SchemaSet&, Direction) { return {{"type", "integer"}, {"format", "int64"}}; }
Json schema(Kind<double>, SchemaSet&, Direction direction) {
  const Json number = {{"type", "number"}, {"format", "double"}};
  return direction == Direction::kAnswer ? or_null(number) : number;
}
Json schema(Kind<std::string>, SchemaSet&, Direction) { return {{"type", "string"}}; }
Json schema(Kind<JsonText>, SchemaSet&, Direction) { return Json::object(); }
Json schema(Kind<CheckpointRef>, SchemaSet&, Direction) {
  return {{"type", "string"}, {"pattern", "^[0-9]+-[0-9]+$"}};
}

}  // namespace ktrdr::api::internal
