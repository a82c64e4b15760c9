// An HTTP API as values, and from these the OpenAPI 3.1 document and a page for people. This library knows
// how such a document is written; which routes there are is said by who serves them (libs/endpoints).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/api/json.h"
#include "ktrdr/api/schema.h"

namespace ktrdr::api {

// What may stand in a path, a query or a header: text, restricted.
struct ParameterType {
  std::string type = "string";     // string, integer, boolean
  std::string pattern;             // of a string; empty: any
  std::vector<std::string> words;  // of a string; empty: any
  std::optional<std::int64_t> minimum, maximum;
  std::optional<JsonText> fallback;  // when the parameter is absent
};

struct ParameterDescription {
  std::string place;  // path, query, header
  std::string name, description;
  bool is_required = false;
  ParameterType type;
};

struct AnswerDescription {
  int status = 200;
  std::string description;
  SchemaFunction body = nullptr;  // null: a text of `content_type`
  std::string content_type = "application/json";
};

struct OperationDescription {
  std::string method, path;  // "get", "/api/v1/operations/{operation_id}"
  std::string id, summary, tag;
  bool needs_token = true;
  std::vector<ParameterDescription> parameters;
  SchemaFunction body = nullptr;  // null: the request has none
  bool body_required = true;
  std::vector<AnswerDescription> answers;
};

struct ApiDescription {
  std::string title, version, description;
  std::vector<OperationDescription> operations;
};

// The document as JSON text, two blanks a level. Every error is the same ErrorBody, so an answer of 4xx or
// 5xx needs no body of its own here.
std::string openapi_document(const ApiDescription& description);

// An OpenAPI document that openapi_document() made, as one HTML page: no script, nothing from elsewhere.
std::string openapi_page(const std::string& document);

}  // namespace ktrdr::api
