#include "ktrdr/core/check.h"

#include <cstdio>
#include <cstdlib>

namespace ktrdr::internal {

void check_failed(const char* file, int line, const char* condition, const char* why) {
  std::fprintf(stderr, "%s:%d: CHECK(%s) failed: %s\n", file, line, condition, why);
  std::abort();
}

}  // namespace ktrdr::internal
