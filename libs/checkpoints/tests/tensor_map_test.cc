#include "ktrdr/checkpoints/tensor_map.h"

#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>

#include "ktrdr/core/testing/matchers.h"

namespace {
std::atomic<std::size_t> allocations = 0;
}  // namespace

// Counts every allocation of this test program. Not inlined, because g++ 12 takes an inlined pair for a
// mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace ktrdr::checkpoints {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::SaysError;

TensorMap filled(float value) {
  TensorMap map;
  map.put_f32("weight", std::vector<float>(1000, value));
  map.put_scalar("loss", static_cast<double>(value));
  map.put_scalar("step", std::int64_t{3});
  map.put_u8("empty", {});
  return map;
}

TEST(TensorMap, GivesBackWhatWasPut) {
  TensorMap map;
  map.put_f64("a", std::vector<double>{1.5, -2});
  map.put_i64("b", std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::min(), 7});
  map.put_u8("c", std::vector<std::uint8_t>{255});
  map.put_scalar("d", 0.1);
  map.put_scalar("e", std::int64_t{-5});
  EXPECT_EQ(map.f64("a")->back(), -2);
  EXPECT_EQ(map.i64("b")->front(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(map.u8("c")->front(), 255);
  EXPECT_EQ(map.f64_scalar("d").value(), 0.1);
  EXPECT_EQ(map.i64_scalar("e").value(), -5);
  EXPECT_TRUE(map.find("d")->shape.empty());
  EXPECT_EQ(map.find("a")->shape, std::vector<std::int64_t>{2});
}

TEST(TensorMap, KeepsTheBitsOfNanInfinityNegativeZeroAndDenormals) {
  const std::vector<std::uint64_t> bits = {0x7ff8dead0000beefULL, 0xfff0000000000001ULL,
                                           0x8000000000000000ULL, 1, 0x7ff0000000000000ULL};
  std::vector<double> values;
  for (const std::uint64_t b : bits) values.push_back(std::bit_cast<double>(b));
  TensorMap map;
  map.put_f64("x", values);
  for (std::size_t i = 0; i < bits.size(); ++i)
    EXPECT_EQ(std::bit_cast<std::uint64_t>((*map.f64("x"))[i]), bits[i]);
}

TEST(TensorMap, ComparesBitsNotNumbers) {
  TensorMap a, b;
  a.put_scalar("x", std::nan(""));
  b.put_scalar("x", std::nan(""));
  EXPECT_EQ(a, b);
  a.put_scalar("x", 0.0);
  b.put_scalar("x", -0.0);
  EXPECT_FALSE(a == b);
}

TEST(TensorMap, SaysWhichTensorIsMissingOrOfAnotherType) {
  const TensorMap map = filled(1);
  EXPECT_THAT(map.f32("bias"), FailsWith(ErrorCode::kCheckpointCorrupted));
  EXPECT_THAT(map.f32("bias"), SaysError("'bias' is missing"));
  EXPECT_THAT(map.f64("weight"), SaysError("'weight' is F32, not F64"));
  EXPECT_THAT(map.f64_scalar("weight"), FailsWith(ErrorCode::kCheckpointCorrupted));
  EXPECT_THAT(map.i64_scalar("loss"), FailsWith(ErrorCode::kCheckpointCorrupted));
  TensorMap two;
  two.put_f64("x", std::vector<double>{1, 2});
  EXPECT_THAT(two.f64_scalar("x"), SaysError("holds 2 values"));
}

TEST(TensorMap, TakesASnapshotIntoWarmMemoryWithoutAllocating) {
  const TensorMap live = filled(2);
  TensorMap snapshot = filled(1);
  const std::byte* memory = snapshot.mutable_bytes("weight").data();
  const std::vector<float> values(1000, 3);
  const std::size_t before = allocations;
  snapshot.assign_from(live);
  snapshot.put_f32("weight", values);
  snapshot.put_scalar("step", std::int64_t{4});
  const std::size_t after = allocations;
  EXPECT_EQ(after, before);
  EXPECT_EQ(snapshot.mutable_bytes("weight").data(), memory);
  EXPECT_EQ(snapshot.f64_scalar("loss").value(), 2);
  EXPECT_EQ(snapshot.f32("weight")->back(), 3);
}

TEST(TensorMap, TheAllocationCounterCounts) {
  const std::size_t before = allocations;
  const TensorMap map = filled(1);
  EXPECT_GT(allocations, before);
}

TEST(TensorMap, AssigningAnotherLayoutTakesItOver) {
  TensorMap map = filled(1);
  TensorMap other;
  other.put_f32("weight", std::vector<float>{1, 2});
  EXPECT_FALSE(map.has_layout_of(other));
  map.assign_from(other);
  EXPECT_EQ(map, other);
  EXPECT_TRUE(map.has_layout_of(other));
}

TEST(TensorMap, ACopyIsNeverAnAlias) {
  TensorMap live = filled(1);
  const TensorMap best = live;
  live.put_f32("weight", std::vector<float>(1000, 9));
  EXPECT_EQ(best.f32("weight")->front(), 1);
}

TEST(ByteCount, RefusesNegativeSizesAndOverflow) {
  constexpr std::int64_t kHuge = std::int64_t{1} << 62;
  const auto count = [](std::vector<std::int64_t> shape) { return byte_count(DType::kF32, shape); };
  EXPECT_EQ(count({}), 4U);
  EXPECT_EQ(count({3, 0, 5}), 0U);
  EXPECT_EQ(count({3, 5}), 60U);
  EXPECT_EQ(count({-1}), std::nullopt);
  EXPECT_EQ(count({kHuge}), std::nullopt);
  EXPECT_EQ(count({kHuge, kHuge, 0}), std::nullopt);
  EXPECT_EQ(count({std::int64_t{1} << 32, std::int64_t{1} << 32}), std::nullopt);
}

TEST(TensorNames, ArePrintableAscii) {
  EXPECT_TRUE(is_tensor_name("layers.0.weight"));
  for (const std::string bad : {"", "a\"b", "a\\b", "a\nb", "\x7f", "\xc3\xa4", "__metadata__"}) {
    EXPECT_FALSE(is_tensor_name(bad)) << bad;
  }
  EXPECT_FALSE(is_tensor_name(std::string(257, 'a')));
}

TEST(DTypes, HaveNamesThatReadBack) {
  for (const DType dtype : {DType::kF32, DType::kF64, DType::kI64, DType::kU8}) {
    EXPECT_EQ(parse_dtype(to_string(dtype)), dtype);
  }
  EXPECT_EQ(parse_dtype("BF16"), std::nullopt);
}

}  // namespace
}  // namespace ktrdr::checkpoints
