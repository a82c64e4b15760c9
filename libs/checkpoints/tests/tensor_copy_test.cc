#include "ktrdr/checkpoints/tensor_copy.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <numeric>
#include <vector>

#include "ktrdr/checkpoints/tensor_map.h"
#include "parallel.h"

namespace ktrdr::checkpoints {
namespace {

std::vector<std::byte> numbered(std::size_t size, std::uint32_t seed) {
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>((seed = seed * 1664525 + 1013904223) >> 24);
  return bytes;
}

constexpr std::size_t kMiB = std::size_t{1} << 20;

TEST(TensorCopy, CopiesEveryByteAndNoOtherAtAnyAlignment) {
  const std::vector<std::byte> source = numbered(kMiB + 300, 1);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{63}, kMiB - 1, kMiB, kMiB + 65}) {
    for (const std::size_t from : {0U, 1U, 4U, 63U}) {
      for (const std::size_t to : {0U, 3U, 8U, 64U}) {
        std::vector<std::byte> target(source.size() + 100, std::byte{7}), expected = target;
        std::copy_n(source.begin() + static_cast<std::ptrdiff_t>(from), size,
                    expected.begin() + static_cast<std::ptrdiff_t>(to));
        copy_bytes({std::span(source).subspan(from, size), std::span(target).subspan(to, size)});
        ASSERT_TRUE(target == expected) << size << " bytes from " << from << " to " << to;
      }
    }
  }
}

TEST(TensorCopy, ManyLargeTensorsArriveWholeWithAHelper) {
  std::vector<std::vector<std::byte>> sources, targets;
  std::vector<TensorCopy> copies;
  for (const std::size_t size : {9 * kMiB + 5, std::size_t{0}, std::size_t{17}, 12 * kMiB}) {
    sources.push_back(numbered(size, static_cast<std::uint32_t>(size)));
    targets.emplace_back(size);
  }
  for (std::size_t i = 0; i < sources.size(); ++i) copies.push_back({sources[i], targets[i]});
  copy_in_parallel(copies);
  EXPECT_TRUE(targets == sources);
}

TEST(ForEachPart, DoesEachPartOnceWithAndWithoutAHelper) {
  for (const std::size_t bytes : {std::size_t{0}, kWorthAHelper}) {
    std::vector<std::atomic<int>> done(1000);
    for_each_part(done.size(), bytes, [&](std::size_t part) { ++done[part]; });
    for (const auto& times : done) EXPECT_EQ(times, 1);
    for_each_part(0, bytes, [&](std::size_t) { ADD_FAILURE() << "there is nothing to do"; });
  }
}

TEST(TensorMapFromViews, BecomesEqualAndKeepsItsMemory) {
  TensorMap source, target;
  source.put_f32("a", std::vector<float>(100, 1.5F));
  source.put_scalar("b", std::int64_t{7});
  target.put_f32("a", std::vector<float>(100, 0));
  target.put_scalar("b", std::int64_t{0});
  const auto* memory = target.find("a")->bytes.data();
  target.assign_from(source.views());
  EXPECT_EQ(target, source);
  EXPECT_EQ(target.find("a")->bytes.data(), memory);
}

TEST(TensorMapFromViews, ForgetsTensorsThatTheOthersDoNotHave) {
  TensorMap source, same_count, more;
  source.put_f32("a", std::vector<float>(3, 1));
  same_count.put_f32("x", std::vector<float>(3, 2));
  more.put_f32("a", std::vector<float>(9, 2));
  more.put_f32("b", std::vector<float>(3, 2));
  for (TensorMap* target : {&same_count, &more}) {
    target->assign_from(source.views());
    EXPECT_EQ(*target, source);
  }
}

}  // namespace
}  // namespace ktrdr::checkpoints
