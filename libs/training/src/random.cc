#include "ktrdr/training/random.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ktrdr/core/check.h"

namespace ktrdr::training {
namespace {

using Block = std::array<std::uint32_t, 4>;

constexpr std::uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;

std::uint32_t low(std::uint64_t wide) { return static_cast<std::uint32_t>(wide); }
std::uint32_t high(std::uint64_t wide) { return static_cast<std::uint32_t>(wide >> 32); }

// Four consecutive blocks at once: the rounds of one block wait for each other, those of several don't.
constexpr std::size_t kGroup = 16;  // numbers in four blocks
struct Group {
  alignas(16) std::uint32_t number[kGroup];
};

#ifdef __SSE2__  // part of every x86-64; integers, so the numbers are the same with and without it

struct WideProduct {
  __m128i low, high;
};

inline WideProduct multiply(__m128i lanes, std::uint64_t multiplier) {
  const __m128i factor = _mm_set1_epi64x(static_cast<long long>(multiplier));
  const __m128i even = _mm_mul_epu32(lanes, factor);
  const __m128i odd = _mm_mul_epu32(_mm_srli_epi64(lanes, 32), factor);
  const __m128i lower_halves = _mm_set1_epi64x(0xFFFFFFFF);
  return {_mm_or_si128(_mm_and_si128(even, lower_halves), _mm_slli_epi64(odd, 32)),
          _mm_or_si128(_mm_srli_epi64(even, 32), _mm_andnot_si128(lower_halves, odd))};
}

inline __m128i repeat(std::uint32_t word) { return _mm_set1_epi32(static_cast<int>(word)); }

// Lane i of x0 .. x3 is block i; the numbers of a block belong side by side.
inline Group side_by_side(__m128i x0, __m128i x1, __m128i x2, __m128i x3) {
  const __m128i low01 = _mm_unpacklo_epi32(x0, x1), low23 = _mm_unpacklo_epi32(x2, x3);
  const __m128i high01 = _mm_unpackhi_epi32(x0, x1), high23 = _mm_unpackhi_epi32(x2, x3);
  Group group;
  auto* out = reinterpret_cast<__m128i*>(group.number);
  _mm_store_si128(out, _mm_unpacklo_epi64(low01, low23));
  _mm_store_si128(out + 1, _mm_unpackhi_epi64(low01, low23));
  _mm_store_si128(out + 2, _mm_unpacklo_epi64(high01, high23));
  _mm_store_si128(out + 3, _mm_unpackhi_epi64(high01, high23));
  return group;
}

inline Group four_blocks(std::uint64_t key, const Block& first) {
  __m128i x0 = _mm_add_epi32(repeat(first[0]), _mm_set_epi32(3, 2, 1, 0));
  __m128i x1 = repeat(first[1]), x2 = repeat(first[2]), x3 = repeat(first[3]);
  std::uint32_t key0 = low(key), key1 = high(key);
  for (int round = 0; round < kRounds; ++round, key0 += kWeyl0, key1 += kWeyl1) {
    const WideProduct product0 = multiply(x0, kMultiplier0), product1 = multiply(x2, kMultiplier1);
    x0 = _mm_xor_si128(_mm_xor_si128(product1.high, x1), repeat(key0));
    x1 = product1.low;
    x2 = _mm_xor_si128(_mm_xor_si128(product0.high, x3), repeat(key1));
    x3 = product0.low;
  }
  return side_by_side(x0, x1, x2, x3);
}

#else

inline Group four_blocks(std::uint64_t key, const Block& first) {
  Group group;
  for (std::uint32_t i = 0; i < kGroup; ++i) {
    group.number[i] = philox(key, {first[0] + i / 4, first[1], first[2], first[3]})[i % 4];
  }
  return group;
}

#endif

// The numbers of one use at one place: a counter of blocks in front of (place, stream, sub-stream).
class Sequence {
 public:
  Sequence(std::int64_t seed, std::int64_t place, Stream stream, std::int64_t sub = 0)
      : key_(static_cast<std::uint64_t>(seed)), place_(static_cast<std::uint64_t>(place)) {
    CHECK(sub >= 0 && sub < (std::int64_t{1} << 24), "the sub-stream shares a word with the stream");
    last_ = static_cast<std::uint32_t>(stream) | (static_cast<std::uint32_t>(sub) << 8);
  }

  Block block(std::uint64_t index) const { return philox(key_, counter(index)); }

  // Gives out[i] = convert(number i) for all i.
  template <class Convert>
  void fill(std::span<float> out, Convert convert) const {
    CHECK(out.size() >> 34 == 0, "a block's index has 32 bits");
    std::size_t i = 0;
    for (; i + kGroup <= out.size(); i += kGroup) {
      const Group group = four_blocks(key_, counter(i / 4));
      float* to = out.data() + i;  // no bounds check per number
      for (std::size_t j = 0; j < kGroup; ++j) to[j] = convert(group.number[j]);
    }
    for (; i < out.size(); ++i) out[i] = convert(block(i / 4)[i % 4]);
  }

 private:
  Block counter(std::uint64_t index) const { return {low(index), low(place_), high(place_), last_}; }

  std::uint64_t key_, place_;
  std::uint32_t last_;
};

// Draws below a bound, one number after the other.
class Draws {
 public:
  explicit Draws(Sequence sequence) : sequence_(sequence) {}

  // Unbiased: Lemire, "Fast random integer generation in an interval", ACM TOMACS 2019.
  std::uint32_t below(std::uint32_t bound) {
    std::uint64_t product = std::uint64_t{next()} * bound;
    if (low(product) < bound) {
      const std::uint32_t threshold = (0U - bound) % bound;
      while (low(product) < threshold) product = std::uint64_t{next()} * bound;
    }
    return high(product);
  }

 private:
  std::uint32_t next() {
    const std::size_t word = used_ % 4;
    if (word == 0) block_ = sequence_.block(used_ / 4);
    ++used_;
    return block_[word];
  }

  Sequence sequence_;
  Block block_{};
  std::uint64_t used_ = 0;
};

}  // namespace

std::array<std::uint32_t, 4> philox(std::uint64_t key, std::array<std::uint32_t, 4> x) {
  std::uint32_t key0 = low(key), key1 = high(key);
  for (int round = 0; round < kRounds; ++round, key0 += kWeyl0, key1 += kWeyl1) {
    const std::uint64_t product0 = kMultiplier0 * x[0], product1 = kMultiplier1 * x[2];
    x = {high(product1) ^ x[1] ^ key0, low(product1), high(product0) ^ x[3] ^ key1, low(product0)};
  }
  return x;
}

std::vector<std::int64_t> sample_order(std::int64_t seed, std::int64_t epoch, std::int64_t rows) {
  CHECK(rows >= 0 && rows < (std::int64_t{1} << 32), "a draw has 32 bits");
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
  std::iota(order.begin(), order.end(), 0);
  Draws draws(Sequence(seed, epoch, Stream::kSampleOrder));
  for (std::size_t last = order.size(); last > 1; --last) {
    std::swap(order[last - 1], order[draws.below(static_cast<std::uint32_t>(last))]);
  }
  return order;
}

void dropout_mask(std::int64_t seed, std::int64_t global_step, std::int64_t layer, double rate,
                  std::span<float> mask) {
  CHECK(rate >= 0 && rate < 1, "a strategy's dropout is in [0, 1)");
  const auto threshold = static_cast<std::uint32_t>(std::min(std::llround(rate * 0x1p32), 0xFFFFFFFFLL));
  const auto kept = static_cast<float>(1 / (1 - rate));
  Sequence(seed, global_step, Stream::kDropout, layer).fill(mask, [=](std::uint32_t number) {
    return number < threshold ? 0.0F : kept;
  });
}

void initial_uniform(std::int64_t seed, std::int64_t tensor, std::span<float> numbers) {
  Sequence(seed, tensor, Stream::kInitialWeights).fill(numbers, [](std::uint32_t number) {
    return static_cast<float>(number >> 8) * 0x1p-24F;
  });
}

}  // namespace ktrdr::training
