#include "ktrdr/training/random.h"

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

// `kLanes` consecutive blocks at once: the rounds of one block wait for each other, those of several don't.
constexpr std::size_t kLanes = 4;
struct Lanes {
  std::uint32_t word[4][kLanes];
};

inline void philox_lanes(std::uint64_t key, Lanes& x) {
  std::uint32_t key0 = low(key), key1 = high(key);
  for (int round = 0; round < kRounds; ++round, key0 += kWeyl0, key1 += kWeyl1) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const std::uint64_t product0 = kMultiplier0 * x.word[0][lane];
      const std::uint64_t product1 = kMultiplier1 * x.word[2][lane];
      x.word[0][lane] = high(product1) ^ x.word[1][lane] ^ key0;
      x.word[1][lane] = low(product1);
      x.word[2][lane] = high(product0) ^ x.word[3][lane] ^ key1;
      x.word[3][lane] = low(product0);
    }
  }
}

// The numbers of one use at one place: a counter of blocks in front of (place, stream, sub-stream).
class Sequence {
 public:
  Sequence(std::int64_t seed, std::int64_t place, Stream stream, std::int64_t sub = 0)
      : key_(static_cast<std::uint64_t>(seed)), place_(static_cast<std::uint64_t>(place)) {
    CHECK(sub >= 0 && sub < (std::int64_t{1} << 24), "the sub-stream shares a word with the stream");
    last_ = static_cast<std::uint32_t>(stream) | (static_cast<std::uint32_t>(sub) << 8);
  }

  Block block(std::uint64_t index) const {
    return philox(key_, {low(index), low(place_), high(place_), last_});
  }

  // Calls use(i, number) for all i < count.
  template <class Use>
  void for_each(std::size_t count, Use use) const {
    CHECK(count >> 32 < 4, "a block's index has 32 bits");
    const std::size_t whole = count / (4 * kLanes) * kLanes;  // blocks
    for (std::size_t first = 0; first < whole; first += kLanes) {
      const Lanes numbers = lanes(first);
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        for (std::size_t word = 0; word < 4; ++word) use((first + lane) * 4 + word, numbers.word[word][lane]);
      }
    }
    for (std::size_t i = whole * 4; i < count; ++i) use(i, block(i / 4)[i % 4]);
  }

 private:
  Lanes lanes(std::size_t first) const {
    Lanes numbers;
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      numbers.word[0][lane] = low(first + lane);
      numbers.word[1][lane] = low(place_);
      numbers.word[2][lane] = high(place_);
      numbers.word[3][lane] = last_;
    }
    philox_lanes(key_, numbers);
    return numbers;
  }

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
  const auto threshold = static_cast<std::uint64_t>(std::llround(rate * 4294967296.0));  // of 2^32 numbers
  const float kept[2] = {static_cast<float>(1 / (1 - rate)), 0.0F};
  Sequence(seed, global_step, Stream::kDropout, layer)
      .for_each(mask.size(),
                [&](std::size_t i, std::uint32_t number) { mask[i] = kept[number < threshold]; });
}

void initial_uniform(std::int64_t seed, std::int64_t tensor, std::span<float> numbers) {
  Sequence(seed, tensor, Stream::kInitialWeights)
      .for_each(numbers.size(), [&](std::size_t i, std::uint32_t number) {
        numbers[i] = static_cast<float>(number >> 8) * 0x1p-24F;
      });
}

}  // namespace ktrdr::training
