#include "cursor.h"

#include "ktrdr/core/clock.h"

namespace ktrdr::server {

Result<std::optional<storage::PageKey>> place_of(const std::optional<std::string>& cursor) {
  if (!cursor) return std::optional<storage::PageKey>();
  const std::size_t comma = cursor->find(',');
  const std::string time = cursor->substr(0, comma);
  const std::string id = comma == std::string::npos ? "" : cursor->substr(comma + 1);
  if (!is_valid_id(id) || !parse_iso8601_ms(time).ok()) {
    return Error(ErrorCode::kInvalidArgument,
                 "The query's 'cursor' must be the 'next_cursor' of the page before.");
  }
  return std::optional(storage::PageKey{time, id});
}

std::optional<std::string> cursor_of(const std::optional<storage::PageKey>& place) {
  if (!place) return std::nullopt;
  return place->created_at + "," + place->operation_id;
}

}  // namespace ktrdr::server
