#include "ktrdr/training/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace ktrdr::training {
namespace {

using Block = std::array<std::uint32_t, 4>;

// The known answers that come with the authors' Random123 library (kat_vectors, philox4x32 10).
TEST(Philox, GivesTheAuthorsKnownAnswers) {
  EXPECT_EQ(philox(0, {0, 0, 0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(~std::uint64_t{0}, {~0U, ~0U, ~0U, ~0U}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox(0x299f31d0a4093822, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(SampleOrder, IsAPermutation) {
  for (const std::int64_t rows : {0, 1, 2, 3, 17, 1000}) {
    std::vector<std::int64_t> order = sample_order(1, 2, rows), expected(static_cast<std::size_t>(rows));
    std::iota(expected.begin(), expected.end(), 0);
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, expected);
  }
}

TEST(SampleOrder, IsAFunctionOfSeedAndEpoch) {
  EXPECT_EQ(sample_order(1, 2, 100), sample_order(1, 2, 100));
  EXPECT_NE(sample_order(1, 2, 100), sample_order(1, 3, 100));
  EXPECT_NE(sample_order(1, 2, 100), sample_order(2, 2, 100));
  EXPECT_NE(sample_order(1, 2, 100), sample_order(1, 2 + (std::int64_t{1} << 32), 100));
  EXPECT_NE(sample_order(1, 2, 100), sample_order(1 + (std::int64_t{1} << 32), 2, 100));
}

// A checkpoint relies on these values: another order would be another training.
TEST(SampleOrder, NeverChangesItsValues) {
  EXPECT_EQ(sample_order(42, 0, 8), (std::vector<std::int64_t>{2, 6, 5, 0, 3, 7, 4, 1}));
}

TEST(SampleOrder, PrefersNoPermutation) {
  std::map<std::vector<std::int64_t>, int> counts;
  for (std::int64_t epoch = 0; epoch < 24'000; ++epoch) ++counts[sample_order(5, epoch, 4)];
  ASSERT_EQ(counts.size(), 24U);
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 1000, 160) << order[0] << order[1] << order[2];
}

TEST(DropoutMask, DropsAtItsRateAndScalesTheRest) {
  std::vector<float> mask(100'003);
  dropout_mask(1, 2, 0, 0.2, mask);
  const auto dropped = std::count(mask.begin(), mask.end(), 0.0F);
  EXPECT_NEAR(static_cast<double>(dropped), 20'000, 500);
  EXPECT_EQ(std::count(mask.begin(), mask.end(), 1.25F), 100'003 - dropped);
}

TEST(DropoutMask, OfRateZeroKeepsEverything) {
  std::vector<float> mask(1000);
  dropout_mask(1, 2, 0, 0, mask);
  EXPECT_EQ(std::count(mask.begin(), mask.end(), 1.0F), 1000);
}

TEST(DropoutMask, DiffersBySeedStepAndLayer) {
  const auto mask_of = [](std::int64_t seed, std::int64_t step, std::int64_t layer) {
    std::vector<float> mask(256);
    dropout_mask(seed, step, layer, 0.5, mask);
    return mask;
  };
  const std::set<std::vector<float>> masks = {mask_of(1, 1, 0), mask_of(2, 1, 0), mask_of(1, 2, 0),
                                              mask_of(1, 1, 1), mask_of(1, 1 + (std::int64_t{1} << 32), 0)};
  EXPECT_EQ(masks.size(), 5U);
  EXPECT_EQ(mask_of(1, 1, 0), mask_of(1, 1, 0));
}

// Many blocks are made at once; the numbers must be those of one block at a time.
TEST(DropoutMask, OfAShorterBatchIsThePrefixOfALongerOne) {
  std::vector<float> whole(200);
  dropout_mask(9, 8, 7, 0.4, whole);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    std::vector<float> part(length);
    dropout_mask(9, 8, 7, 0.4, part);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin())) << length;
  }
}

TEST(InitialUniform, IsTheTop24BitsOfThePhiloxNumbers) {
  std::vector<float> numbers(1001);
  initial_uniform(3, 5, numbers);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const Block block = philox(3, {static_cast<std::uint32_t>(i / 4), 5, 0, 3});
    EXPECT_EQ(numbers[i], static_cast<float>(block[i % 4] >> 8) / 16'777'216.0F);
  }
  EXPECT_LT(*std::max_element(numbers.begin(), numbers.end()), 1.0F);
}

TEST(InitialUniform, IsSpreadEvenly) {
  std::vector<float> numbers(100'000);
  initial_uniform(1, 0, numbers);
  int tenths[10] = {};
  for (const float number : numbers) ++tenths[static_cast<int>(number * 10)];
  for (const int count : tenths) EXPECT_NEAR(count, 10'000, 500);
}

}  // namespace
}  // namespace ktrdr::training
