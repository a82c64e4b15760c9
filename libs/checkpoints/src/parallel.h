// Work on parts that don't depend on each other, by the calling thread and one helper.
#pragma once

#include <cstddef>
#include <functional>

namespace ktrdr::checkpoints {

inline constexpr std::size_t kWorthAHelper = std::size_t{16} << 20;  // bytes to be read

// Calls work(0) to work(parts - 1), each once, the early ones first; returns when all have returned. They
// must not throw. With `bytes` below kWorthAHelper, or no thread to be had, the caller does it all, in order.
void for_each_part(std::size_t parts, std::size_t bytes, const std::function<void(std::size_t)>& work);

}  // namespace ktrdr::checkpoints
