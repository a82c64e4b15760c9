// The names of things. An id that reached one of these types has been checked, so it is safe in a path or a
// statement.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ktrdr/core/result.h"

namespace ktrdr {

// True for ^[a-z0-9_-]{1,64}$: the only shape an id may have anywhere in the system.
bool is_valid_id(std::string_view text);

struct OperationId {
  std::string value;
  static Result<OperationId> parse(std::string_view text);
  auto operator<=>(const OperationId&) const = default;
};

// New with every start of a worker process, so that a restarted worker can't pass for its zombie.
struct WorkerId {
  std::string value;
  static Result<WorkerId> parse(std::string_view text);
  auto operator<=>(const WorkerId&) const = default;
};

// `<prefix>_<UTC yyyymmdd_hhmmss>_<8 hex>` from the wall clock and the kernel's random source.
OperationId new_operation_id(std::string_view operation_type, std::int64_t wall_ms);
WorkerId new_worker_id();

// `bytes` random bytes from the kernel in hex: tokens, ids.
std::string random_hex(std::size_t bytes);

// The fencing number of an operation: 1 at the start, + 1 with every resume.
using Attempt = std::int64_t;

// Which checkpoint of an operation: the attempt that wrote it and its sequence number in the operation.
// Sequence numbers grow through all attempts and may skip.
struct CheckpointRef {
  Attempt attempt = 0;
  std::int64_t sequence = 0;

  std::string to_string() const;  // "2-17": also its folder's name
  static std::optional<CheckpointRef> parse(std::string_view text);
  auto operator<=>(const CheckpointRef&) const = default;
};

}  // namespace ktrdr
