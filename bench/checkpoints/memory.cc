#include "memory.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>

namespace ktrdr::bench {

Memory memory_now() {
  std::ifstream status("/proc/self/status");
  Memory memory;
  for (std::string name, rest; status >> name; std::getline(status, rest)) {
    std::size_t kib = 0;
    if (name == "VmRSS:" && status >> kib) memory.resident = kib * 1024;
    if (name == "RssAnon:" && status >> kib) memory.own = kib * 1024;
  }
  return memory;
}

MemoryWatch::MemoryWatch()
    : peak_(memory_now()), thread_([this] {
        while (!ended_) {
          const Memory now = memory_now();
          peak_.own = std::max(peak_.own, now.own);
          peak_.resident = std::max(peak_.resident, now.resident);
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
      }) {}

Memory MemoryWatch::peak() {
  ended_ = true;
  thread_.join();
  return peak_;
}

}  // namespace ktrdr::bench
