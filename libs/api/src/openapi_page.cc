// The page for people: a heading for each operation, then what it takes and what it answers, then every type.
#include <string>

#include "codec.h"
#include "ktrdr/api/openapi.h"

namespace ktrdr::api {
namespace {

using internal::Json;

constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h2 { margin-top: 3rem; border-bottom: 1px solid #ccc; }
h3 { margin: 2rem 0 0; font: 600 1rem/1.5 ui-monospace, monospace; }
table { border-collapse: collapse; margin: .5rem 0; }
td { padding: .1rem 1.5rem .1rem 0; vertical-align: top; }
code { font-family: ui-monospace, monospace; }
a { color: #0550ae; }
</style>
)";

std::string escaped(std::string_view text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&': html += "&amp;"; break;
      case '<': html += "&lt;"; break;
      case '>': html += "&gt;"; break;
      case '"': html += "&quot;"; break;
      default: html += c;
    }
  }
  return html;
}

std::string text_of(const Json& object, const char* key) {
  return object.contains(key) ? escaped(object[key].get<std::string>()) : "";
}

std::string code(const std::string& html) { return "<code>" + html + "</code>"; }

std::string joined(const Json& list, std::string_view separator) {
  std::string text;
  for (const Json& item : list) {
    text += (text.empty() ? "" : std::string(separator)) +
            escaped(item.is_string() ? item.get<std::string>() : internal::dump(item, -1));
  }
  return text;
}

// "integer, 1 to 1000, default 10"; a link where it is a component.
std::string type_text(const Json& schema) {
  if (schema.contains("$ref")) {
    const std::string pointer = schema["$ref"].get<std::string>();
    const std::string name = escaped(pointer.substr(pointer.rfind('/') + 1));
    return "<a href=\"#" + name + "\">" + name + "</a>";
  }
  if (schema.contains("anyOf")) return type_text(schema["anyOf"][0]) + " or null";
  if (schema.contains("items")) return "list of " + type_text(schema["items"]);
  if (schema.contains("enum")) return "one of " + joined(schema["enum"], ", ");
  if (!schema.contains("type")) return "anything";
  std::string text = schema["type"].is_array() ? joined(schema["type"], " or ") : text_of(schema, "type");
  if (schema.contains("pattern")) text += ", " + code(text_of(schema, "pattern"));
  if (schema.contains("minimum")) text += ", from " + internal::dump(schema["minimum"], -1);
  if (schema.contains("maximum")) text += " to " + internal::dump(schema["maximum"], -1);
  if (schema.contains("default")) text += ", default " + escaped(internal::dump(schema["default"], -1));
  return text;
}

std::string row(const std::string& name, const std::string& type, const std::string& note) {
  return "<tr><td>" + code(name) + "</td><td>" + type + "</td><td>" + note + "</td></tr>\n";
}

std::string body_type(const Json& holder) {
  for (const auto& [content_type, content] : holder["content"].items()) {
    return content_type == "application/json" ? type_text(content["schema"]) : escaped(content_type);
  }
  return "";
}

std::string rows_of_answers(const Json& responses) {
  std::string rows, errors;
  for (const auto& [status, answer] : responses.items()) {
    if (answer.contains("$ref")) errors += (errors.empty() ? "" : ", ") + status;
    else rows += row("answer " + status, body_type(answer), text_of(answer, "description"));
  }
  return rows + row("errors", "<a href=\"#ErrorBody\">ErrorBody</a>", errors);
}

std::string operation_html(const std::string& method, const std::string& path, const Json& operation) {
  std::string upper = method;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string html = "<h3 id=\"" + text_of(operation, "operationId") + "\">" + upper + " " + escaped(path) +
                     "</h3>\n<p>" + text_of(operation, "summary") +
                     (operation["security"].empty() ? " Needs no token." : "") + "</p>\n<table>\n";
  for (const Json& parameter : operation.value("parameters", Json::array())) {
    html += row(text_of(parameter, "in") + " " + text_of(parameter, "name"), type_text(parameter["schema"]),
                text_of(parameter, "description"));
  }
  if (operation.contains("requestBody")) {
    const bool is_required = operation["requestBody"]["required"].get<bool>();
    html += row("body", body_type(operation["requestBody"]), is_required ? "" : "may be left out");
  }
  return html + rows_of_answers(operation["responses"]) + "</table>\n";
}

std::string schema_html(const std::string& name, const Json& schema) {
  std::string html = "<h3 id=\"" + escaped(name) + "\">" + escaped(name) + "</h3>\n<table>\n";
  const Json required = schema.value("required", Json::array());
  for (const auto& [key, property] : schema["properties"].items()) {
    const bool is_required = std::find(required.begin(), required.end(), Json(key)) != required.end();
    const std::string optional = is_required ? "" : " (may be left out)";
    html += row(escaped(key), type_text(property), text_of(property, "description") + optional);
  }
  return html + "</table>\n";
}

}  // namespace

std::string openapi_page(const std::string& document) {
  const Json json = Json::parse(document);
  const std::string title = text_of(json["info"], "title") + " " + text_of(json["info"], "version");
  std::string html = std::string(kHead) + "<title>" + title + "</title></head><body>\n<h1>" + title +
                     "</h1>\n<p>" + text_of(json["info"], "description") + "</p>\n<h2>Routes</h2>\n";
  for (const auto& [path, methods] : json["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) html += operation_html(method, path, operation);
  }
  html += "<h2>Types</h2>\n";
  for (const auto& [name, schema] : json["components"]["schemas"].items()) html += schema_html(name, schema);
  return html + "</body></html>\n";
}

}  // namespace ktrdr::api
