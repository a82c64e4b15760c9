#include "mount_namespace.h"

#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>

namespace ktrdr::chaos {

std::optional<std::string> enter_own_mount_namespace() {
  if (::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0)
    return std::nullopt;
  return std::string("no mounts: ") + std::strerror(errno);
}

}  // namespace ktrdr::chaos
