// A request target ("/api/v1/operations?limit=10"), taken apart and decoded.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ktrdr/http/message.h"
#include "refusal.h"

namespace ktrdr::http {

struct Target {
  std::vector<std::string> segments;  // "/a/b" is {"a", "b"}, "/" is {""}
  StringMap query;

  std::string path() const;
};

// Decodes exactly once, segment by segment, so that an encoded slash can't make two segments of one. What
// could mean something to a file system or a terminal is refused: NUL and control characters, '/', '\', "."
// and "..".
std::variant<Target, Refusal> parse_target(std::string_view target);

}  // namespace ktrdr::http
