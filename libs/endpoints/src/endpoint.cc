#include "ktrdr/endpoints/endpoint.h"

#include <algorithm>
#include <map>
#include <set>

#include "ktrdr/core/check.h"
#include "ktrdr/endpoints/call.h"

namespace ktrdr::endpoints {
namespace {

using http::Method;

constexpr std::string_view kPrefix = "/api/v1/";

// What every route may answer, because the transport or the store does so before it or instead of it.
const std::set<int> kEverywhere = {400, 403, 408, 413, 414, 415, 417, 431, 500, 503};

const std::map<int, std::string> kMeaning = {
    {400, "The request is wrong; nothing was changed."},
    {401, "The bearer token is missing or wrong."},
    {403, "This Host, Origin or address is not allowed to do that."},
    {404, "There is no such thing; error.code says which (CHECKPOINT_NOT_FOUND: nothing to resume from)."},
    {408, "The request did not arrive in time."},
    {409,
     "The present state does not allow it. With error.code STALE: another attempt owns the operation, stop."},
    {412, "If-Match named another version than the present one."},
    {413, "The body is too large."},
    {414, "Path and query are too long."},
    {415, "A body must be application/json."},
    {417, "The only expectation is 100-continue."},
    {422, "No checkpoint passed its verification."},
    {431, "The headers are too large."},
    {500, "Our own fault: the disk or the database failed, or there is a bug."},
    {503, "Busy, stopping, or a peer can't be reached; try again later."}};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// "operations" for "/api/v1/operations/{operation_id}".
std::string tag_of(std::string_view path) {
  const std::string_view rest = path.starts_with(kPrefix)
                                    ? path.substr(kPrefix.size())
                                    : path.substr(std::min<std::size_t>(1, path.size()));
  const std::string tag(rest.substr(0, rest.find('/')));
  return tag.empty() ? "root" : tag;
}

std::set<std::string> captures_of(const std::string& path) {
  std::set<std::string> names;
  for (auto open = path.find('{'); open != std::string::npos; open = path.find('{', open + 1)) {
    names.insert(path.substr(open + 1, path.find('}', open) - open - 1));
  }
  return names;
}

void check_path(const Endpoint& endpoint) {
  std::set<std::string> read;
  for (const auto& parameter : endpoint.call.parameters) {
    if (parameter.place == "path") read.insert(parameter.name);
  }
  CHECK(read == captures_of(endpoint.path), (endpoint.path + " captures what its call reads").c_str());
}

std::vector<api::AnswerDescription> answers_of(const Endpoint& endpoint) {
  std::set<int> statuses = kEverywhere;
  if (endpoint.access == http::Access::kToken) statuses.insert(401);
  for (const ErrorCode code : endpoint.errors) statuses.insert(http::status_of(code));
  for (const ErrorCode code : endpoint.call.errors) statuses.insert(http::status_of(code));
  std::vector<api::AnswerDescription> answers = endpoint.call.answers;
  for (const int status : statuses) answers.push_back({.status = status, .description = kMeaning.at(status)});
  return answers;
}

api::OperationDescription operation_of(const Endpoint& endpoint) {
  return {.method = lower_case(to_string(endpoint.method)),
          .path = endpoint.path,
          .id = endpoint.name,
          .summary = endpoint.summary,
          .tag = tag_of(endpoint.path),
          .needs_token = endpoint.access == http::Access::kToken,
          .parameters = endpoint.call.parameters,
          .body = endpoint.call.body,
          .body_required = endpoint.call.body_required,
          .answers = answers_of(endpoint)};
}

struct Documentation {
  std::string document, page;
};

}  // namespace

EndpointTable& operator+=(EndpointTable& table, EndpointTable more) {
  std::move(more.begin(), more.end(), std::back_inserter(table));
  return table;
}

std::string describe(const EndpointTable& table, const Title& title) {
  api::ApiDescription description{
      .title = title.name, .version = title.version, .description = title.description};
  for (const Endpoint& endpoint : table) description.operations.push_back(operation_of(endpoint));
  return api::openapi_document(description);
}

void add_documentation(EndpointTable& table, const Title& title) {
  const auto written = std::make_shared<Documentation>();  // filled when the table is complete
  table += {{.method = Method::kGet,
             .path = std::string(kPrefix) + "openapi.json",
             .name = "get_openapi_document",
             .summary = "This API as an OpenAPI 3.1 document.",
             .access = http::Access::kPublic,
             .call = call([written]() -> Result<api::JsonText> { return api::JsonText{written->document}; })},
            {.method = Method::kGet,
             .path = std::string(kPrefix) + "docs",
             .name = "get_documentation",
             .summary = "The same document as a page for people.",
             .access = http::Access::kPublic,
             .call = call([written]() -> Result<Html> { return Html{written->page}; })}};
  written->document = describe(table, title);
  written->page = api::openapi_page(written->document);
}

http::Router make_router(const EndpointTable& table) {
  std::vector<http::Route> routes;
  std::set<std::string> names;
  for (const Endpoint& endpoint : table) {
    check_path(endpoint);
    CHECK(names.insert(endpoint.name).second, (endpoint.name + " is the name of one endpoint").c_str());
    routes.push_back({endpoint.method, endpoint.path, endpoint.access, endpoint.call.handler});
  }
  return http::Router(std::move(routes));
}

}  // namespace ktrdr::endpoints
