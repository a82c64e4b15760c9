// Work that finds little more memory than there was when it began. For death tests: the process ends.
#pragma once

#include <malloc.h>
#include <sys/resource.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <new>
#include <string>

namespace ktrdr::checkpoints::testing {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitizerNeedsMemory = true;
#else
constexpr bool kSanitizerNeedsMemory = false;
#endif

constexpr int kOutOfMemory = 2;                           // an exit code
constexpr std::uint64_t kRoom = std::uint64_t{24} << 20;  // a helper's stack takes a third of it

// Takes what malloc has left over from before (of earlier tests), which no limit could take away.
inline void use_up_what_is_free() {
  constexpr std::size_t kPiece = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, kPiece);  // so that a piece which is not left over is mapped
  for (const std::size_t mapped = mallinfo2().hblks; mallinfo2().hblks == mapped;) {
    if (std::malloc(kPiece) == nullptr) std::_Exit(98);  // never freed: the process ends soon
  }
}

// The kernel counts private memory that can be written; mapped files and what is there already are free.
inline void leave_room() {
  use_up_what_is_free();
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmData:", 0) != 0) continue;
    const std::uint64_t now = std::stoull(line.substr(7)) << 10;
    const rlimit limit{now + kRoom, now + kRoom};
    if (setrlimit(RLIMIT_DATA, &limit) == 0) return;
  }
  std::_Exit(99);
}

// Ends with 0 when it did its work, 1 when not, kOutOfMemory when it wanted more.
template <class Work>
void in_little_memory(Work work) {
  leave_room();
  try {
    std::_Exit(work() ? 0 : 1);
  } catch (const std::bad_alloc&) {
    std::_Exit(kOutOfMemory);
  }
}

}  // namespace ktrdr::checkpoints::testing
