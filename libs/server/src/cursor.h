// A place in a list as a client sees it: opaque text, "<created_at>,<operation_id>".
#pragma once

#include <optional>
#include <string>

#include "ktrdr/core/result.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::server {

// kInvalidArgument for anything that no page's next_cursor could have been.
Result<std::optional<storage::PageKey>> place_of(const std::optional<std::string>& cursor);
std::optional<std::string> cursor_of(const std::optional<storage::PageKey>& place);

}  // namespace ktrdr::server
