// The headers that make a change safe to repeat (rule 13), as arguments of a handler; see endpoints/call.h.
#pragma once

#include <optional>

#include "ktrdr/endpoints/call.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::endpoints {

// If-Match: the version the client saw, bare or in quotes.
template <>
struct Argument<storage::Precondition> {
  static Result<storage::Precondition> read(const http::Request& request);
  static void describe(Call& call);
};

// Idempotency-Key, with the hash of everything the request asks for.
template <>
struct Argument<std::optional<storage::IdempotencyKey>> {
  static Result<std::optional<storage::IdempotencyKey>> read(const http::Request& request);
  static void describe(Call& call);
};

}  // namespace ktrdr::endpoints
