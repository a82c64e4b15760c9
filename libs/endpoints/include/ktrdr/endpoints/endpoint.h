// One row of a process's HTTP API. The router and the OpenAPI document are both made from these rows, and
// what a row says of parameters, bodies and answers comes from the C++ types of its handler (call.h), so that
// the three can't drift apart.
//
//   {.method = Method::kPost, .path = "/api/v1/operations/{operation_id}/claim", .name = "claim_operation",
//    .summary = "A worker makes an attempt its own.", .errors = {ErrorCode::kNotFound, ErrorCode::kStale},
//    .call = call([&](const OperationId& id, const api::ClaimRequest& request) { return service.claim(id,
//    request); })}
#pragma once

#include <string>
#include <vector>

#include "ktrdr/api/openapi.h"
#include "ktrdr/core/error.h"
#include "ktrdr/http/router.h"

namespace ktrdr::endpoints {

// A handler, and everything about it that its types say.
struct Call {
  http::Handler handler;
  std::vector<api::ParameterDescription> parameters;
  api::SchemaFunction body = nullptr;  // null: it reads none
  bool body_required = true;
  std::vector<api::AnswerDescription> answers;  // the good ones
  std::vector<ErrorCode> errors;                // that reading the parameters can give
};

struct Endpoint {
  http::Method method = http::Method::kGet;
  std::string path;
  std::string name;  // the operationId: a verb and a noun, unique
  std::string summary;
  http::Access access = http::Access::kToken;
  std::vector<ErrorCode>
      errors;  // that the call itself can give, besides kInvalidArgument and our own faults
  Call call;
};

using EndpointTable = std::vector<Endpoint>;

EndpointTable& operator+=(EndpointTable& table, EndpointTable more);

struct Title {
  std::string name, version, description;
};

// Adds GET /api/v1/openapi.json and GET /api/v1/docs, which describe the whole table, themselves included.
// Both are public: they hold nothing that the source code does not.
void add_documentation(EndpointTable& table, const Title& title);

// A path whose {names} are not the ones its call reads, or a name that occurs twice, is a bug (CHECK).
http::Router make_router(const EndpointTable& table);

// The table as OpenAPI 3.1. Every row also gets what the transport may answer before a handler runs.
std::string describe(const EndpointTable& table, const Title& title);

}  // namespace ktrdr::endpoints
