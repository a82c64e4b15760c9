// Every way in which a request to one of a document's routes can be wrong, as the bytes to send: the routes,
// their parameters and the fields of their bodies are read from the OpenAPI document of the program under
// test.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ktrdr::system_test {

struct BadRequest {
  std::string route;  // "POST /api/v1/operations/{operation_id}/claim"
  std::string what;   // what is wrong with it, for a failure's message
  std::string bytes;
  int status = 0;  // that it must get; 0: any 4xx
};

// What the requests are made of.
struct Target {
  std::string token;
  std::string
      operation_id;  // of an operation that is there: damaged requests name it, and must not change it
};

std::vector<BadRequest> bad_requests(const nlohmann::json& document, const Target& target);

// The routes of the document, as BadRequest names them.
std::vector<std::string> routes_of(const nlohmann::json& document);

}  // namespace ktrdr::system_test
