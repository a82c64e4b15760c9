// Holds real answers against an OpenAPI document: is the status documented for that route, and is the body
// what the document says? The validation of a schema is valijson's, so what we write about our types is read
// by somebody else's eyes. Safe to call from several threads.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace ktrdr::api::testing {

struct Exchange {
  std::string method, target;  // "GET", "/api/v1/operations?limit=3"
  std::string request_body;    // checked too, where the answer is a good one
  int status = 0;
  std::string body;
};

class OpenApiChecker {
 public:
  explicit OpenApiChecker(const std::string& document);
  ~OpenApiChecker();

  // What is wrong with the document itself: references that lead nowhere, captures without a parameter, names
  // that occur twice, operations without a good answer.
  std::vector<std::string> document_problems() const;

  std::vector<std::string> operations() const;  // "GET /api/v1/health", sorted

  // The operation of that table which answers the request, or nothing: then only a refusal is right.
  std::string operation_of(const std::string& method, const std::string& target) const;

  // A sentence, or nothing when all is as documented.
  std::string problem_of(const Exchange& exchange) const;

 private:
  struct Document;
  std::unique_ptr<Document> document_;
};

}  // namespace ktrdr::api::testing
