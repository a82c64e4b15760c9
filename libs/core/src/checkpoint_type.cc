#include "ktrdr/core/checkpoint_type.h"

#include "ktrdr/core/check.h"

namespace ktrdr {

std::string_view to_string(CheckpointType type) {
  for (const auto& [candidate, name] : kCheckpointTypeNames) {
    if (candidate == type) return name;
  }
  CHECK(false, "every type has a name");
}

std::optional<CheckpointType> parse_checkpoint_type(std::string_view text) {
  for (const auto& [type, name] : kCheckpointTypeNames) {
    if (text == name) return type;
  }
  return std::nullopt;
}

}  // namespace ktrdr
