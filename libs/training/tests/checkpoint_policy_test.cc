#include "ktrdr/training/checkpoint_policy.h"

#include <gtest/gtest.h>

#include "ktrdr/core/testing/manual_clock.h"

namespace ktrdr::training {
namespace {

using ktrdr::testing::ManualClock;
using std::chrono::seconds;

TEST(CheckpointPolicy, IsNotDueAtTheStart) {
  const ManualClock clock;
  EXPECT_FALSE(CheckpointPolicy(clock, {}).due());
}

TEST(CheckpointPolicy, IsDueAfterSoManyEpochs) {
  const ManualClock clock;
  CheckpointPolicy policy(clock, {.every_epochs = 2, .every = Duration(0)});
  policy.epoch_completed();
  EXPECT_FALSE(policy.due());
  policy.epoch_completed();
  EXPECT_TRUE(policy.due());
}

TEST(CheckpointPolicy, IsDueAfterSoManySecondsWithoutAnyEpoch) {
  ManualClock clock;
  const CheckpointPolicy policy(clock, {.every_epochs = 10, .every = seconds(300)});
  clock.advance(seconds(299));
  EXPECT_FALSE(policy.due());
  clock.advance(seconds(1));
  EXPECT_TRUE(policy.due());
}

TEST(CheckpointPolicy, DoesNotHeedTheWallClock) {
  ManualClock clock;
  const CheckpointPolicy policy(clock, {});
  clock.jump_wall_clock(std::chrono::hours(24));
  EXPECT_FALSE(policy.due());
}

TEST(CheckpointPolicy, StaysDueUntilACheckpointIsTaken) {
  ManualClock clock;
  CheckpointPolicy policy(clock, {.every_epochs = 1, .every = seconds(10)});
  clock.advance(seconds(1));
  policy.epoch_completed();
  policy.epoch_completed();
  EXPECT_TRUE(policy.due());
  EXPECT_TRUE(policy.due());
  policy.taken(Duration(1));
  EXPECT_FALSE(policy.due());
}

TEST(CheckpointPolicy, CountsBothEpochsAndTimeFromTheLastCheckpoint) {
  ManualClock clock;
  CheckpointPolicy policy(clock, {.every_epochs = 2, .every = seconds(10)});
  clock.advance(seconds(10));
  policy.epoch_completed();
  policy.taken(Duration(1));
  clock.advance(seconds(9));
  policy.epoch_completed();
  EXPECT_FALSE(policy.due());
  clock.advance(seconds(1));
  EXPECT_TRUE(policy.due());
}

TEST(CheckpointPolicy, NeverCostsMoreThanItsShareOfTheTime) {
  ManualClock clock;
  CheckpointPolicy policy(clock, {.every_epochs = 1, .every = Duration(0), .overhead_budget = 0.01});
  policy.epoch_completed();
  EXPECT_TRUE(policy.due());
  policy.taken(Duration(50));
  policy.epoch_completed();
  clock.advance(Duration(4999));
  EXPECT_FALSE(policy.due());
  clock.advance(Duration(1));
  EXPECT_TRUE(policy.due());
}

TEST(CheckpointPolicy, CountsAPauseThatTheClockCannotSeeAsAMillisecond) {
  ManualClock clock;
  CheckpointPolicy policy(clock, {.every_epochs = 1, .every = Duration(0), .overhead_budget = 0.01});
  policy.epoch_completed();
  policy.taken(Duration(0));
  policy.epoch_completed();
  clock.advance(Duration(99));
  EXPECT_FALSE(policy.due());
  clock.advance(Duration(1));
  EXPECT_TRUE(policy.due());
}

TEST(CheckpointPolicy, OfZerosIsNeverDue) {
  ManualClock clock;
  CheckpointPolicy policy(clock, {.every_epochs = 0, .every = Duration(0)});
  for (int i = 0; i < 100; ++i) policy.epoch_completed();
  clock.advance(std::chrono::hours(100));
  EXPECT_FALSE(policy.due());
}

}  // namespace
}  // namespace ktrdr::training
