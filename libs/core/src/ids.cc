#include "ktrdr/core/ids.h"

#include <sys/random.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "ktrdr/core/clock.h"

namespace ktrdr {
namespace {

constexpr std::size_t kLongestId = 64;

bool is_id_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

// Never echoes the bad id: it may hold anything, and a message ends up in logs and terminals.
Error bad_id(std::string_view kind) {
  return {ErrorCode::kInvalidArgument,
          "The " + std::string(kind) +
              " id is not valid: an id has 1 to 64 characters out of a-z, 0-9, _ and -."};
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool canonical = status == std::errc{} && end == text.data() + text.size() && number >= 0 &&
                         std::to_string(number) == text;
  return canonical ? std::optional(number) : std::nullopt;
}

}  // namespace

bool is_valid_id(std::string_view text) {
  return !text.empty() && text.size() <= kLongestId && std::all_of(text.begin(), text.end(), is_id_character);
}

Result<OperationId> OperationId::parse(std::string_view text) {
  if (!is_valid_id(text)) return bad_id("operation");
  return OperationId{std::string(text)};
}

Result<WorkerId> WorkerId::parse(std::string_view text) {
  if (!is_valid_id(text)) return bad_id("worker");
  return WorkerId{std::string(text)};
}

std::string random_hex(std::size_t bytes) {
  std::vector<unsigned char> raw(bytes);
  CHECK(getrandom(raw.data(), raw.size(), 0) == static_cast<ssize_t>(bytes),
        "the kernel gives this many bytes at once");
  std::string text;
  for (const unsigned char byte : raw) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

OperationId new_operation_id(std::string_view operation_type, std::int64_t wall_ms) {
  return {"op_" + std::string(operation_type) + "_" + compact_utc(wall_ms) + "_" + random_hex(4)};
}

WorkerId new_worker_id() { return {"worker-" + random_hex(8)}; }

std::string CheckpointRef::to_string() const {
  return std::to_string(attempt) + "-" + std::to_string(sequence);
}

std::optional<CheckpointRef> CheckpointRef::parse(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto attempt = parse_number(text.substr(0, dash));
  const auto sequence = parse_number(text.substr(dash + 1));
  if (!attempt || !sequence) return std::nullopt;
  return CheckpointRef{*attempt, *sequence};
}

}  // namespace ktrdr
