// Disks that are really full, or read-only: a tmpfs and an ext4 of a few megabytes.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "fault_runner.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/small_disk.h"
#include "station.h"

namespace ktrdr::worker::testing {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;
using ktrdr::testing::SmallDisk;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t kReserve = 1 << 20;

class FullDisk : public ::testing::TestWithParam<SmallDisk::Kind> {
 protected:
  FullDisk() {
    station_ = Station::open(disk_.path() / "data", kReserve).value();
    EXPECT_THAT(station_->begin(), IsOk());
    EXPECT_THAT(station_->save(), IsOk());
    EXPECT_THAT(station_->save(), IsOk());
  }
  std::filesystem::path reserve() const { return disk_.path() / "data" / "ktrdr.db-reserve"; }
  void expect_whole(CheckpointRef at_least) {
    EXPECT_EQ(station_->problem({.created = true, .saved = at_least}), "");
  }

  SmallDisk disk_{GetParam(), 16};
  std::unique_ptr<Station> station_;
};

INSTANTIATE_TEST_SUITE_P(Disks, FullDisk, ::testing::Values(SmallDisk::Kind::kMemory, SmallDisk::Kind::kLoop),
                         [](const auto& kind) {
                           return kind.param == SmallDisk::Kind::kMemory ? "Memory" : "Loop";
                         });

TEST_P(FullDisk, ASaveFailsWithAClearErrorTheOlderStaysAndTheNextOneWorksWhenThereIsSpace) {
  disk_.fill();
  const auto saved = station_->save(api::CheckpointType::kCancellation);
  EXPECT_THAT(saved, FailsWith(ErrorCode::kIo));
  EXPECT_THAT(saved, SaysError("No space left on device"));
  expect_whole({1, 1});
  disk_.empty();
  EXPECT_THAT(station_->save(), IsOk());
  EXPECT_EQ(station_->problem_going_on(), "");
}

TEST_P(FullDisk, AlmostFullAPeriodicCheckpointIsSkippedAndCancelAndCompleteStillHaveTheirRoom) {
  disk_.fill(700 << 10);
  EXPECT_THAT(station_->save(), SaysError("nearly full"));
  EXPECT_THAT(station_->warnings(), ElementsAre(HasSubstr("nearly full")));
  expect_whole({1, 1});
  const auto cancelled = station_->save(api::CheckpointType::kCancellation);
  ASSERT_THAT(cancelled, IsOk());
  expect_whole(*cancelled);
  EXPECT_THAT(station_->finish(), IsOk());
  EXPECT_EQ(station_->problem({.created = true, .finished = true}), "");
}

TEST_P(FullDisk, TheDatabaseGivesUpItsReserveAndWritesOnAndTakesItAgainWhenThereIsSpace) {
  ASSERT_TRUE(std::filesystem::exists(reserve()));
  disk_.fill();
  const std::string text(100'000, 'x');  // each stop and resume writes pages: the log must grow
  for (int i = 0; i < 200 && std::filesystem::exists(reserve()); ++i) {
    ASSERT_THAT(
        station_->heartbeat(Station::operation(),
                            {.attempt = 1, .worker_id = "worker-1", .warnings = {text + std::to_string(i)}}),
        IsOk())
        << i;
  }
  EXPECT_FALSE(std::filesystem::exists(reserve())) << "the disk was full, and it was needed";
  EXPECT_THAT(station_->stop(), IsOk());
  EXPECT_EQ(station_->rows().get(Station::operation())->status, api::OperationStatus::kCancelled);
  disk_.empty();
  EXPECT_THAT(station_->rows().try_resume(Station::operation(), false, {}, std::nullopt), IsOk());
  EXPECT_TRUE(std::filesystem::exists(reserve())) << "there is room again";
  EXPECT_EQ(station_->problem_going_on(), "");
}

TEST_P(FullDisk, WithoutAnythingLeftChangesAreRefusedNothingIsDamagedAndItWorksAgainWithSpace) {
  const std::string text(100'000, 'x');
  int refused = 0;
  for (int i = 0; i < 400 && refused == 0; ++i) {
    disk_.fill();
    refused +=
        station_->heartbeat(Station::operation(),
                            {.attempt = 1, .worker_id = "worker-1", .warnings = {text + std::to_string(i)}})
                .ok()
            ? 0
            : 1;
  }
  ASSERT_EQ(refused, 1);
  EXPECT_EQ(station_->rows().get(Station::operation())->status, api::OperationStatus::kRunning);
  expect_whole({1, 1});
  disk_.empty();
  EXPECT_EQ(station_->problem_going_on(), "");
}

TEST_P(FullDisk, MadeReadOnlyNothingIsAcknowledgedAndAfterwardsItGoesOn) {
  station_.reset();
  disk_.set_read_only(true);
  const auto objects = checkpoints::FileCheckpointStore::open(disk_.path() / "data" / "checkpoints");
  ASSERT_THAT(objects, IsOk());
  const auto restored = training::restore_from_checkpoint(*objects, Station::operation(), {1, 1});
  ASSERT_THAT(restored, IsOk());
  EXPECT_TRUE(holds_sample(*restored, 1)) << "reading needs no writing";
  EXPECT_THAT(Station::open(disk_.path() / "data"), FailsWith(ErrorCode::kIo));
  disk_.set_read_only(false);
  station_ = Station::open(disk_.path() / "data").value();
  expect_whole({1, 1});
  EXPECT_EQ(station_->problem_going_on(), "");
}

}  // namespace
}  // namespace ktrdr::worker::testing
