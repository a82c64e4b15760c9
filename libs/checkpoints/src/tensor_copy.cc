#include "ktrdr/checkpoints/tensor_copy.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "ktrdr/core/check.h"
#include "parallel.h"

namespace ktrdr::checkpoints {
namespace {

constexpr std::size_t kStreamFrom = std::size_t{1}
                                    << 20;           // bytes; less stays in the caches, where it is read next
constexpr std::size_t kPart = std::size_t{4} << 20;  // of a copy by two threads

#ifdef __SSE2__
constexpr std::size_t kLine = 64;  // bytes of a line of the cache, which is written at once

// memcpy() does so only with one piece far larger than most tensors, and is half as slow again without.
void stream(const std::byte* from, std::byte* to, std::size_t size) {
  const std::size_t head = (kLine - reinterpret_cast<std::uintptr_t>(to) % kLine) % kLine;
  std::memcpy(to, from, head);
  const std::size_t end = head + (size - head) / kLine * kLine;
  for (std::size_t at = head; at < end; at += kLine) {
    const auto* source = reinterpret_cast<const __m128i*>(from + at);
    auto* target = reinterpret_cast<__m128i*>(to + at);
    const __m128i a = _mm_loadu_si128(source), b = _mm_loadu_si128(source + 1);
    const __m128i c = _mm_loadu_si128(source + 2), d = _mm_loadu_si128(source + 3);
    _mm_stream_si128(target, a);
    _mm_stream_si128(target + 1, b);
    _mm_stream_si128(target + 2, c);
    _mm_stream_si128(target + 3, d);
  }
  _mm_sfence();  // another thread may read it after the next lock
  std::memcpy(to + end, from + end, size - end);
}
#else
void stream(const std::byte* from, std::byte* to, std::size_t size) { std::memcpy(to, from, size); }
#endif

}  // namespace

void copy_bytes(const TensorCopy& copy) {
  CHECK(copy.from.size() == copy.to.size(), "a tensor is copied to where it has room");
  const std::size_t size = copy.from.size();
  if (size >= kStreamFrom) stream(copy.from.data(), copy.to.data(), size);
  else if (size > 0) std::memcpy(copy.to.data(), copy.from.data(), size);
}

void copy_in_parallel(std::span<const TensorCopy> copies) {
  std::vector<TensorCopy> parts;
  std::size_t bytes = 0;
  for (TensorCopy copy : copies) {
    CHECK(copy.from.size() == copy.to.size(), "a tensor is copied to where it has room");
    bytes += copy.from.size();
    while (!copy.from.empty()) {
      const std::size_t size = std::min(kPart, copy.from.size());
      parts.push_back({copy.from.first(size), copy.to.first(size)});
      copy = {copy.from.subspan(size), copy.to.subspan(size)};
    }
  }
  for_each_part(parts.size(), bytes, [&](std::size_t part) { copy_bytes(parts[part]); });
}

}  // namespace ktrdr::checkpoints
