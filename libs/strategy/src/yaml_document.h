// The adapter to yaml-cpp: text from outside becomes a tree that is safe to walk, or problems with line
// numbers. Nothing above this file catches an exception.
#pragma once

#include <yaml-cpp/yaml.h>

#include <optional>
#include <string_view>

#include "problems.h"

namespace ktrdr::strategy {

inline constexpr std::size_t kMostStrategyBytes = std::size_t{1} << 20;

// One document, UTF-8 without NUL, at most 32 levels deep and 100,000 nodes large with every alias counted at
// its full size (so "billion laughs" files are refused before anybody walks them), no key twice in a mapping.
// Nothing when the text is no such document; duplicate keys are reported but leave a tree to read on.
std::optional<YAML::Node> load_yaml(std::string_view text, Problems& problems);

}  // namespace ktrdr::strategy
