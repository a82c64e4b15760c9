// "did you mean 'status'?"
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ktrdr::cli {

// The candidate with the smallest edit distance (insert, delete, replace, swap of neighbours), when it is
// small enough to be a slip of the finger.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace ktrdr::cli
