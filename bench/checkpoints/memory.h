// How much memory this process takes while something runs.
#pragma once

#include <atomic>
#include <cstddef>
#include <thread>

namespace ktrdr::bench {

struct Memory {
  std::size_t own = 0;       // bytes that only this process has: anonymous memory
  std::size_t resident = 0;  // and with the pages of files that it has mapped
};

Memory memory_now();

// Looks at it a thousand times a second, on a thread of its own.
class MemoryWatch {
 public:
  MemoryWatch();
  Memory peak();  // since the beginning; ends the watch

 private:
  std::atomic<bool> ended_ = false;
  Memory peak_;
  std::thread thread_;
};

}  // namespace ktrdr::bench
