#include "arguments.h"

#include <algorithm>
#include <charconv>

#include "ktrdr/core/digest.h"

namespace ktrdr::endpoints {

Result<storage::Precondition> Argument<storage::Precondition>::read(const http::Request& request) {
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

void Argument<storage::Precondition>::describe(Call& call) {
  call.parameters.push_back(
      {.place = "header",
       .name = "If-Match",
       .description = "The version the client saw: with another one, nothing is changed (412).",
       .type = {.pattern = R"(^("[0-9]+"|[0-9]+)$)"}});
  call.errors.push_back(ErrorCode::kPreconditionFailed);
}

Result<std::optional<storage::IdempotencyKey>> Argument<std::optional<storage::IdempotencyKey>>::read(
    const http::Request& request) {
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

void Argument<std::optional<storage::IdempotencyKey>>::describe(Call& call) {
  call.parameters.push_back(
      {.place = "header",
       .name = "Idempotency-Key",
       .description = "Chosen by the client for this one change: sent again, it gets the first answer.",
       .type = {.pattern = "^[!-~]{1,128}$"}});
  call.errors.push_back(ErrorCode::kConflict);  // the key was used for something else
}

}  // namespace ktrdr::endpoints
