#include "ktrdr/api/openapi.h"

#include "codec.h"
#include "ktrdr/api/operation.h"

namespace ktrdr::api {
namespace {

using internal::Json;

Json schema_json(SchemaFunction type, SchemaSet& set, Direction direction) {
  return Json::parse(type(set, direction));
}

Json type_json(const ParameterType& type) {
  Json schema = {{"type", type.type}};
  if (!type.pattern.empty()) schema["pattern"] = type.pattern;
  if (!type.words.empty()) schema["enum"] = type.words;
  if (type.minimum) schema["minimum"] = *type.minimum;
  if (type.maximum) schema["maximum"] = *type.maximum;
  if (type.fallback) schema["default"] = internal::parse_own(type.fallback->text);
  return schema;
}

Json parameter_json(const ParameterDescription& parameter) {
  return {{"name", parameter.name},
          {"in", parameter.place},
          {"description", parameter.description},
          {"required", parameter.is_required},
          {"schema", type_json(parameter.type)}};
}

bool is_error(const AnswerDescription& answer) { return answer.status >= 400; }

std::string error_component(int status) { return "Error" + std::to_string(status); }

Json error_json(const std::string& description) {
  return {{"description", description},
          {"content", {{"application/json", {{"schema", {{"$ref", "#/components/schemas/ErrorBody"}}}}}}}};
}

Json answer_json(const AnswerDescription& answer, SchemaSet& set) {
  if (is_error(answer)) return {{"$ref", "#/components/responses/" + error_component(answer.status)}};
  const Json schema =
      answer.body ? schema_json(answer.body, set, Direction::kAnswer) : Json{{"type", "string"}};
  return {{"description", answer.description}, {"content", {{answer.content_type, {{"schema", schema}}}}}};
}

Json operation_json(const OperationDescription& operation, SchemaSet& set) {
  Json json = {{"operationId", operation.id}, {"summary", operation.summary}, {"tags", {operation.tag}}};
  json["security"] = operation.needs_token ? Json::array({{{"token", Json::array()}}}) : Json::array();
  for (const auto& parameter : operation.parameters) json["parameters"].push_back(parameter_json(parameter));
  if (operation.body) {
    const Json schema = schema_json(operation.body, set, Direction::kRequest);
    json["requestBody"] = {{"required", operation.body_required},
                           {"content", {{"application/json", {{"schema", schema}}}}}};
  }
  for (const auto& answer : operation.answers) {
    json["responses"][std::to_string(answer.status)] = answer_json(answer, set);
  }
  return json;
}

Json paths_json(const ApiDescription& description, SchemaSet& set) {
  Json paths = Json::object();
  for (const auto& operation : description.operations) {
    paths[operation.path][operation.method] = operation_json(operation, set);
  }
  return paths;
}

Json components_json(const ApiDescription& description, const SchemaSet& set) {
  Json components = {{"securitySchemes", {{"token", {{"type", "http"}, {"scheme", "bearer"}}}}},
                     {"responses", Json::object()},
                     {"schemas", Json::object()}};
  for (const auto& operation : description.operations) {
    for (const auto& answer : operation.answers) {
      if (is_error(answer))
        components["responses"][error_component(answer.status)] = error_json(answer.description);
    }
  }
  for (const auto& [name, text] : set.components()) components["schemas"][name] = Json::parse(text);
  return components;
}

}  // namespace

std::string openapi_document(const ApiDescription& description) {
  SchemaSet set;
  paths_json(description, set);  // for the uses only: see SchemaSet
  set.forget_texts();
  schema_of<ErrorBody>(set, Direction::kAnswer);
  const Json paths = paths_json(description, set);
  const Json document = {{"openapi", "3.1.0"},
                         {"info",
                          {{"title", description.title},
                           {"version", description.version},
                           {"description", description.description}}},
                         {"paths", paths},
                         {"components", components_json(description, set)}};
  return internal::dump(document, 2) + "\n";
}

}  // namespace ktrdr::api
