#include "ktrdr/services/checkpoint_service.h"

#include <gtest/gtest.h>

#include <fstream>

#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/checkpoints/testing/memory_checkpoint_store.h"
#include "ktrdr/checkpoints/testing/sample_checkpoint.h"
#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/storage/memory_repository.h"

namespace ktrdr::services {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::ManualClock;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

constexpr Duration kDay = 24h;

struct Bench {
  ManualClock clock;
  std::unique_ptr<storage::OperationsRepository> operations = storage::make_memory_repository(clock);
  checkpoints::testing::MemoryCheckpointStore objects;
  CheckpointService service{clock, *operations, objects};
  const storage::Fence fence{1, {"worker-1"}};

  OperationId running(const std::string& name) {
    const OperationId id{name};
    EXPECT_THAT(operations->create({.id = id}, std::nullopt), IsOk());
    EXPECT_THAT(operations->claim(id, fence, "desk"), IsOk());
    EXPECT_THAT(checkpoints::testing::put_sample(objects, id, {1, 0}), IsOk());
    EXPECT_THAT(operations->commit_checkpoint(id, fence, {.ref = {1, 0}}), IsOk());
    return id;
  }
  OperationId failed(const std::string& name) {
    const OperationId id = running(name);
    EXPECT_THAT(operations->fail(id, fence, "boom"), IsOk());
    return id;
  }
  std::vector<CheckpointRef> stored(const OperationId& id) { return *objects.list(id); }
};

TEST(CheckpointService, RemovingTakesTheRowsAndThenTheFiles) {
  Bench bench;
  const OperationId id = bench.failed("op_1");
  EXPECT_EQ(bench.service.checkpoints(id)->size(), 1u);
  ASSERT_THAT(bench.service.remove(id, {}), IsOk());
  EXPECT_THAT(bench.service.checkpoints(id), FailsWith(ErrorCode::kCheckpointNotFound));
  EXPECT_THAT(bench.stored(id), IsEmpty());
  EXPECT_THAT(bench.service.remove(id, {}), FailsWith(ErrorCode::kCheckpointNotFound));
}

TEST(CheckpointService, ARunningOperationsCheckpointsStay) {
  Bench bench;
  const OperationId id = bench.running("op_1");
  EXPECT_THAT(bench.service.remove(id, {}), FailsWith(ErrorCode::kConflict));
  EXPECT_THAT(bench.stored(id), ElementsAre(CheckpointRef{1, 0}));
}

TEST(CheckpointService, CleanUpTakesWhatIsTooOldAndNotLive) {
  Bench bench;
  const OperationId old = bench.failed("op_old");
  const OperationId live = bench.running("op_live");
  bench.clock.advance(10 * kDay);
  const OperationId young = bench.failed("op_young");
  bench.clock.advance(25 * kDay);
  const auto cleaned = bench.service.clean_up(30 * kDay);
  ASSERT_THAT(cleaned, IsOk());
  EXPECT_EQ(cleaned->checkpoints_deleted, 1);
  EXPECT_EQ(cleaned->orphan_artifacts_cleaned, 0);
  EXPECT_THAT(bench.stored(old), IsEmpty());
  EXPECT_THAT(bench.stored(live), ElementsAre(CheckpointRef{1, 0}));
  EXPECT_THAT(bench.stored(young), ElementsAre(CheckpointRef{1, 0}));
  EXPECT_EQ(bench.service.clean_up(30 * kDay)->checkpoints_deleted, 0) << "the second time";
}

// Rows and objects say the same, before and after: what is counted is what is there.
TEST(CheckpointService, TheTotalsAreRightAfterACleanUp) {
  Bench bench;
  EXPECT_EQ(bench.service.totals()->checkpoints, 0);
  for (const char* name : {"op_1", "op_2"}) bench.failed(name);
  bench.clock.advance(10 * kDay);
  const std::string then = iso8601_utc(bench.clock.wall_ms());
  const OperationId young = bench.running("op_3");
  ASSERT_THAT(bench.operations->commit_checkpoint(
                  young, bench.fence, {.ref = {1, 1}, .parent = CheckpointRef{1, 0}, .size_bytes = 4096}),
              IsOk());
  ASSERT_THAT(checkpoints::testing::put_sample(bench.objects, young, {1, 1}), IsOk());
  EXPECT_EQ(bench.service.totals()->operations, 3);
  ASSERT_THAT(bench.service.clean_up(5 * kDay), IsOk());
  const auto totals = bench.service.totals();
  ASSERT_THAT(totals, IsOk());
  EXPECT_EQ(totals->operations, 1);
  EXPECT_EQ(totals->checkpoints, 2);
  EXPECT_EQ(totals->size_bytes, 4096);
  EXPECT_EQ(totals->oldest_created_at, then);
  EXPECT_EQ(bench.stored(young).size(), 2u);
  EXPECT_THAT(bench.stored({"op_1"}), IsEmpty());
}

TEST(CheckpointService, CleanUpAlsoSweepsWhatNoRowNames) {
  Bench bench;
  const OperationId id = bench.failed("op_1");
  ASSERT_THAT(checkpoints::testing::put_sample(bench.objects, id, {1, 9}), IsOk());
  EXPECT_EQ(bench.service.clean_up(30 * kDay)->orphan_artifacts_cleaned, 1);
  EXPECT_THAT(bench.stored(id), ElementsAre(CheckpointRef{1, 0}));
}

TEST(CheckpointService, AStorageThatCanNotBeListedIsAnErrorAndNotANothing) {
  Bench bench;
  const ktrdr::testing::TemporaryFolder folder;
  const auto root = folder / "checkpoints";
  auto objects = checkpoints::FileCheckpointStore::open(root).value();
  std::filesystem::remove(root);
  std::ofstream(root) << "a file where the folder was";
  CheckpointService service(bench.clock, *bench.operations, objects);
  EXPECT_FALSE(service.clean_up(30 * kDay).ok());
}

TEST(CheckpointService, CleanUpWalksThroughMoreThanOnePage) {
  Bench bench;
  for (int i = 0; i < 1100; ++i) bench.failed("op_" + std::to_string(i));
  bench.clock.advance(kDay);
  EXPECT_EQ(bench.service.clean_up(1h)->checkpoints_deleted, 1100);
}

}  // namespace
}  // namespace ktrdr::services
