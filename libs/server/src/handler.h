// From typed functions to HTTP handlers: reading ids, bodies and headers, writing answers and errors.
#pragma once

#include <charconv>
#include <functional>

#include "ktrdr/api/json.h"
#include "ktrdr/core/digest.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/http/error_mapping.h"
#include "ktrdr/http/message.h"
#include "ktrdr/http/router.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::server {

template <class Output>
http::Response answer(const Result<Output>& result, int status = 200) {
  if (!result.ok()) return http::error_response(result.error());
  return {.status = status, .body = api::to_json(*result)};
}

inline Result<OperationId> operation_id(const http::Request& request) {
  return OperationId::parse(request.parameter("operation_id"));
}

// An empty body is the default Input.
template <class Input>
Result<Input> optional_body(const http::Request& request) {
  if (request.body.empty()) return Input{};
  return api::from_json<Input>(request.body);
}

// GET of one operation's something.
template <class Output>
http::SynchronousHandler for_operation(std::function<Result<Output>(const OperationId&)> call) {
  return [call = std::move(call)](const http::Request& request) {
    const auto id = operation_id(request);
    return id.ok() ? answer(call(*id)) : http::error_response(id.error());
  };
}

// POST of a body about one operation.
template <class Input, class Output>
http::SynchronousHandler on_operation(std::function<Result<Output>(const OperationId&, const Input&)> call) {
  return [call = std::move(call)](const http::Request& request) -> http::Response {
    const auto id = operation_id(request);
    if (!id.ok()) return http::error_response(id.error());
    const auto input = api::from_json<Input>(request.body);
    return input.ok() ? answer(call(*id, *input)) : http::error_response(input.error());
  };
}

// If-Match: the version the client saw, bare or in quotes.
inline Result<storage::Precondition> precondition(const http::Request& request) {
  const auto header = request.header("If-Match");
  if (!header) return storage::Precondition{};
  std::string_view text = *header;
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  std::int64_t version = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (status != std::errc{} || end != text.data() + text.size() || version < 0) {
    return Error(ErrorCode::kInvalidArgument,
                 "The header If-Match must be a version number, as in an operation's 'version'.");
  }
  return storage::Precondition{.if_version = version};
}

// Idempotency-Key, with the hash of everything the request asks for.
inline Result<std::optional<storage::IdempotencyKey>> idempotency_key(const http::Request& request) {
  const auto header = request.header("Idempotency-Key");
  if (!header) return std::optional<storage::IdempotencyKey>{};
  const bool printable =
      std::all_of(header->begin(), header->end(), [](char c) { return c > ' ' && c < 127; });
  if (header->empty() || header->size() > 128 || !printable) {
    return Error(ErrorCode::kInvalidArgument,
                 "The header Idempotency-Key must be 1 to 128 printable characters.");
  }
  const std::string hash =
      sha256_hex(std::string(http::to_string(request.method)) + " " + request.path + "\n" + request.body);
  return std::optional(storage::IdempotencyKey{std::string(*header), hash});
}

}  // namespace ktrdr::server
