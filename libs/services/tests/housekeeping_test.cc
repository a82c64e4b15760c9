#include "ktrdr/services/housekeeping.h"

#include <gtest/gtest.h>

#include "ktrdr/checkpoints/testing/memory_checkpoint_store.h"
#include "ktrdr/checkpoints/testing/sample_checkpoint.h"
#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/storage/memory_repository.h"

namespace ktrdr::services {
namespace {

using ktrdr::testing::IsOk;
using ktrdr::testing::ManualClock;
using namespace std::chrono_literals;

constexpr Duration kDay = 24h;

struct Bench {
  ManualClock clock;
  std::unique_ptr<storage::OperationsRepository> operations = storage::make_memory_repository(clock);
  checkpoints::testing::MemoryCheckpointStore objects;
  CheckpointService service{clock, *operations, objects};
  Housekeeping housekeeping{clock, service, *operations, 7 * kDay};

  void add_failed(const std::string& name) {
    const OperationId id{name};
    const storage::Fence fence{1, {"worker-1"}};
    EXPECT_THAT(operations->create({.id = id}, std::nullopt), IsOk());
    EXPECT_THAT(operations->claim(id, fence, "desk"), IsOk());
    EXPECT_THAT(checkpoints::testing::put_sample(objects, id, {1, 0}), IsOk());
    EXPECT_THAT(operations->commit_checkpoint(id, fence, {.ref = {1, 0}}), IsOk());
    EXPECT_THAT(operations->fail(id, fence, "boom"), IsOk());
  }
  std::int64_t kept() { return operations->checkpoint_totals()->checkpoints; }
  // As the server's loop does.
  void pass(Duration time) {
    for (; time > 0ms; time -= 10min) {
      clock.advance(10min);
      housekeeping.tend();
    }
  }
};

TEST(Housekeeping, TakesWhatIsOlderThanTheServerWasToldAndNotBefore) {
  Bench bench;
  bench.housekeeping.tend();
  bench.add_failed("op_1");
  bench.pass(7 * kDay);
  EXPECT_EQ(bench.kept(), 1);
  bench.pass(kDay);
  EXPECT_EQ(bench.kept(), 0);
  EXPECT_TRUE(bench.objects.list({"op_1"})->empty());
}

TEST(Housekeeping, IsDoneAtOnceWhenAServerStarts) {
  Bench bench;
  bench.add_failed("op_1");
  bench.clock.advance(8 * kDay);
  bench.housekeeping.tend();
  EXPECT_EQ(bench.kept(), 0);
}

TEST(Housekeeping, IsDoneOnceADayOnly) {
  Bench bench;
  bench.housekeeping.tend();
  bench.add_failed("op_1");
  ASSERT_THAT(checkpoints::testing::put_sample(bench.objects, {"op_1"}, {1, 9}), IsOk());  // no row names it
  bench.pass(23h);
  EXPECT_EQ(bench.objects.list({"op_1"})->size(), 2u);
  bench.pass(1h);
  EXPECT_EQ(bench.objects.list({"op_1"})->size(), 1u);
}

TEST(Housekeeping, HeedsNoWallClockForItsDay) {
  Bench bench;
  bench.housekeeping.tend();
  bench.add_failed("op_1");
  bench.clock.jump_wall_clock(100 * kDay);
  bench.housekeeping.tend();
  EXPECT_EQ(bench.kept(), 1) << "a clock that was set wrong for a moment costs nothing";
}

}  // namespace
}  // namespace ktrdr::services
