#include "ktrdr/services/checkpoint_sweeper.h"

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
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Bench {
  ManualClock clock;
  std::unique_ptr<storage::OperationsRepository> operations = storage::make_memory_repository(clock);
  checkpoints::testing::MemoryCheckpointStore objects;
  CheckpointSweeper sweeper{*operations, objects};
  const OperationId id{"op_1"};
  const storage::Fence fence{1, {"worker-1"}};

  Bench() {
    EXPECT_THAT(operations->create({.id = id, .request = {.strategy_yaml = "x"}}, std::nullopt), IsOk());
    EXPECT_THAT(operations->claim(id, fence, "desk"), IsOk());
  }
  void put(const OperationId& operation, CheckpointRef ref) {
    EXPECT_THAT(checkpoints::testing::put_sample(objects, operation, ref), IsOk());
  }
  void commit(std::int64_t sequence, std::optional<CheckpointRef> parent) {
    put(id, {1, sequence});
    EXPECT_THAT(operations->commit_checkpoint(id, fence, {.ref = {1, sequence}, .parent = parent}), IsOk());
  }
  std::vector<CheckpointRef> stored() { return *objects.list(id); }
};

TEST(CheckpointSweeper, NeverTouchesTheAttemptOfARunningOperation) {
  Bench bench;
  bench.commit(0, std::nullopt);
  bench.put(bench.id, {1, 5});  // written, its commit is under way
  EXPECT_EQ(bench.sweeper.sweep().value(), 0);
  EXPECT_THAT(bench.stored(), ElementsAre(CheckpointRef{1, 0}, CheckpointRef{1, 5}));
}

TEST(CheckpointSweeper, RemovesWhatNoRowNamesOnceTheOperationHasEnded) {
  Bench bench;
  bench.commit(0, std::nullopt);
  bench.put(bench.id, {1, 5});
  ASSERT_THAT(bench.operations->fail(bench.id, bench.fence, "boom"), IsOk());
  EXPECT_EQ(bench.sweeper.sweep().value(), 1);
  EXPECT_THAT(bench.stored(), ElementsAre(CheckpointRef{1, 0})) << "what can be resumed stays";
  EXPECT_EQ(bench.sweeper.sweep().value(), 0) << "a second time there is nothing to do";
}

TEST(CheckpointSweeper, RemovesAnEarlierAttemptsLeftoversWhileALaterOneRuns) {
  Bench bench;
  bench.commit(0, std::nullopt);
  bench.put(bench.id, {1, 5});
  ASSERT_THAT(bench.operations->fail(bench.id, bench.fence, "boom"), IsOk());
  ASSERT_THAT(bench.operations->try_resume(bench.id, false, {}, std::nullopt), IsOk());
  bench.put(bench.id, {2, 6});
  EXPECT_EQ(bench.sweeper.sweep().value(), 1);
  EXPECT_THAT(bench.stored(), ElementsAre(CheckpointRef{1, 0}, CheckpointRef{2, 6}));
}

TEST(CheckpointSweeper, LeavesAnAttemptAloneThatIsLaterThanTheRowItRead) {
  Bench bench;
  bench.commit(0, std::nullopt);
  ASSERT_THAT(bench.operations->fail(bench.id, bench.fence, "boom"), IsOk());
  bench.put(bench.id, {2, 1});  // a resume and its worker were quicker than the sweep
  EXPECT_EQ(bench.sweeper.sweep().value(), 0);
}

TEST(CheckpointSweeper, LeavesOperationsThatAreNotItsOwnAlone) {
  Bench bench;
  bench.put({"op_of_another_server"}, {1, 0});
  EXPECT_EQ(bench.sweeper.sweep().value(), 0);
  EXPECT_EQ(bench.objects.list({"op_of_another_server"})->size(), 1u);
}

}  // namespace
}  // namespace ktrdr::services
