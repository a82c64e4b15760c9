#include "ktrdr/api/testing/openapi_checker.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace ktrdr::api::testing {
namespace {

using Json = nlohmann::json;
using valijson::adapters::NlohmannJsonAdapter;

std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> segments;
  while (true) {
    const auto slash = path.find('/');
    segments.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

bool is_capture(const std::string& segment) { return segment.starts_with('{'); }

bool matches(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
  return std::equal(pattern.begin(), pattern.end(), path.begin(), path.end(),
                    [](const std::string& wanted, const std::string& given) {
                      return wanted == given || (is_capture(wanted) && !given.empty());
                    });
}

std::string lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text == "head" ? "get" : text;  // answered like GET
}

std::string first_error(valijson::ValidationResults& results) {
  valijson::ValidationResults::Error error;
  if (!results.popError(error)) return "it does not fit";  // the first one is the innermost
  std::string place;
  for (const std::string& step : error.context) place += step;
  return place + ": " + error.description;
}

void collect_references(const Json& json, std::set<std::string>& found) {
  if (json.is_object() && json.contains("$ref")) found.insert(json["$ref"].get<std::string>());
  for (const Json& child : json) {
    if (child.is_structured()) collect_references(child, found);
  }
}

}  // namespace

struct OpenApiChecker::Document {
  Json json;
  std::mutex mutex;  // guards the schemas that were parsed already
  std::map<std::string, std::unique_ptr<valijson::Schema>> parsed;

  const Json& resolved(const Json& node) const {
    if (!node.contains("$ref")) return node;
    return json.at(Json::json_pointer(node["$ref"].get<std::string>().substr(1)));
  }

  const valijson::Schema& parse(const Json& schema) {
    auto& known = parsed[schema.dump()];
    if (!known) {
      known = std::make_unique<valijson::Schema>();
      const Json root = {{"allOf", {schema}}, {"components", json["components"]}};
      valijson::SchemaParser parser;
      parser.populateSchema(NlohmannJsonAdapter(root), *known);
    }
    return *known;
  }

  // `content` is an OpenAPI content object; the text is nothing or the first thing that is wrong.
  std::string problem(const Json& content, const std::string& text) {
    if (!content.contains("application/json")) return "";
    const Json value = Json::parse(text, nullptr, false);
    if (value.is_discarded()) return "the body is not JSON: " + text.substr(0, 200);
    const std::lock_guard lock(mutex);
    valijson::ValidationResults results;
    valijson::Validator validator;
    const bool fits = validator.validate(parse(content["application/json"]["schema"]),
                                         NlohmannJsonAdapter(value), &results);
    return fits ? "" : first_error(results) + ", in " + text.substr(0, 2000);
  }

  const Json* operation(const std::string& method, const std::string& target, std::string& name) const {
    const auto path = segments_of(std::string_view(target).substr(0, target.find('?')));
    const Json* best = nullptr;
    std::ptrdiff_t fewest_captures = 0;
    for (const auto& [pattern, methods] : json["paths"].items()) {
      const auto segments = segments_of(pattern);
      if (!matches(segments, path) || !methods.contains(lower_case(method))) continue;
      const auto captures = std::count_if(segments.begin(), segments.end(), is_capture);
      if (best != nullptr && captures >= fewest_captures) continue;
      best = &methods[lower_case(method)];
      fewest_captures = captures;
      name = method + " " + pattern;
    }
    return best;
  }

  // A request that no route takes: it can only be refused.
  std::string problem_of_refusal(const Exchange& exchange) {
    if (exchange.status < 400) return "nothing of the document takes this";
    return problem({{"application/json", {{"schema", {{"$ref", "#/components/schemas/ErrorBody"}}}}}},
                   exchange.body);
  }

  std::string problem_of_answer(const Json& operation, const Exchange& exchange) {
    const std::string status = std::to_string(exchange.status);
    if (!operation["responses"].contains(status)) return "this status is not documented; " + exchange.body;
    return problem(resolved(operation["responses"][status])["content"], exchange.body);
  }

  std::string problem_of_request(const Json& operation, const Exchange& exchange) {
    if (exchange.status >= 300 || exchange.request_body.empty() || !operation.contains("requestBody"))
      return "";
    const std::string wrong = problem(operation["requestBody"]["content"], exchange.request_body);
    return wrong.empty() ? "" : "accepted, but the request's body is not as documented: " + wrong;
  }
};

OpenApiChecker::OpenApiChecker(const std::string& document) : document_(std::make_unique<Document>()) {
  document_->json = Json::parse(document);
}

OpenApiChecker::~OpenApiChecker() = default;

std::vector<std::string> OpenApiChecker::operations() const {
  std::vector<std::string> names;
  for (const auto& [path, methods] : document_->json["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      std::string upper = method;
      for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      names.push_back(upper + " " + path);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string OpenApiChecker::operation_of(const std::string& method, const std::string& target) const {
  std::string name;
  document_->operation(method, target, name);
  return name;
}

std::string OpenApiChecker::problem_of(const Exchange& exchange) const {
  std::string name;
  const Json* operation = document_->operation(exchange.method, exchange.target, name);
  if (exchange.method == "HEAD") return "";
  std::string wrong = operation == nullptr ? document_->problem_of_refusal(exchange)
                                           : document_->problem_of_answer(*operation, exchange);
  if (wrong.empty() && operation != nullptr) wrong = document_->problem_of_request(*operation, exchange);
  if (wrong.empty()) return "";
  return exchange.method + " " + exchange.target + " -> " + std::to_string(exchange.status) + ": " + wrong;
}

std::vector<std::string> OpenApiChecker::document_problems() const {
  const Json& json = document_->json;
  std::vector<std::string> problems;
  if (json.value("openapi", "") != "3.1.0") problems.push_back("it is not OpenAPI 3.1.0");
  for (const char* key : {"title", "version"}) {
    if (!json["info"].contains(key)) problems.push_back("info has no " + std::string(key));
  }
  std::set<std::string> references, ids;
  collect_references(json, references);
  for (const std::string& reference : references) {
    if (!reference.starts_with("#/") || !json.contains(Json::json_pointer(reference.substr(1)))) {
      problems.push_back(reference + " leads nowhere");
    }
  }
  for (const auto& [path, methods] : json["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      const std::string name = method + " " + path;
      if (!ids.insert(operation.value("operationId", "")).second)
        problems.push_back(name + " has another's id");
      std::set<std::string> captured, declared;
      for (const std::string& segment : segments_of(path)) {
        if (is_capture(segment)) captured.insert(segment.substr(1, segment.size() - 2));
      }
      for (const Json& parameter : operation.value("parameters", Json::array())) {
        if (parameter["in"] == "path") declared.insert(parameter["name"].get<std::string>());
        if (parameter["in"] == "path" && parameter["required"] != true)
          problems.push_back(name + ": not required");
      }
      if (captured != declared) problems.push_back(name + " does not declare what its path captures");
      if (!operation["responses"].contains("200")) problems.push_back(name + " has no good answer");
    }
  }
  return problems;
}

}  // namespace ktrdr::api::testing
