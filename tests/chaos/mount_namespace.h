// What this program mounts is its own.
#pragma once

#include <optional>
#include <string>

namespace ktrdr::chaos {

// Call first of all, before any thread starts: what is mounted from now on is seen by this program and its
// children only, and is gone with them. The reason, where the machine forbids it.
std::optional<std::string> enter_own_mount_namespace();

}  // namespace ktrdr::chaos
