#include "parallel.h"

#include <atomic>
#include <system_error>
#include <thread>

namespace ktrdr::checkpoints {

void for_each_part(std::size_t parts, std::size_t bytes, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next = 0;
  const auto run = [&] {
    for (std::size_t part = next++; part < parts; part = next++) work(part);
  };
  std::jthread helper;
  if (parts > 1 && bytes >= kWorthAHelper && std::thread::hardware_concurrency() > 1) {
    try {
      helper = std::jthread(run);
    } catch (const std::system_error&) {  // no thread to be had: it only takes longer
    }
  }
  run();
}

}  // namespace ktrdr::checkpoints
