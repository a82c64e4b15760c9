#include "ktrdr/training/checkpoint_policy.h"

#include <gtest/gtest.h>

#include "ktrdr/core/testing/manual_clock.h"

namespace ktrdr::training {
namespace {

using ktrdr::testing::ManualClock;
using std::chrono::milliseconds;
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
  clock.advance(Duration(9999));
  EXPECT_FALSE(policy.due()) << "another one of 50 ms would make it 100 ms";
  clock.advance(Duration(1));
  EXPECT_TRUE(policy.due());
}

TEST(CheckpointPolicy, CountsTheProcessorTimeOfWritingToo) {
  ManualClock clock;
  CheckpointPolicy policy(clock, {.every_epochs = 1, .every = Duration(0), .overhead_budget = 0.01});
  policy.epoch_completed();
  policy.taken(Duration(50), milliseconds(0));
  policy.epoch_completed();
  clock.advance(Duration(39'999));
  EXPECT_TRUE(policy.wanted());
  EXPECT_TRUE(policy.due(milliseconds(0)));
  EXPECT_FALSE(policy.due(milliseconds(150))) << "200 ms were spent, and 200 ms would be";
  clock.advance(Duration(1));
  EXPECT_TRUE(policy.due(milliseconds(150)));
}

TEST(CheckpointPolicy, IsNotChargedForWhatWasSavedBeforeItsRun) {
  ManualClock clock;
  const CheckpointPolicy policy(clock, {.every_epochs = 0, .every = seconds(1)}, seconds(30));
  clock.advance(seconds(1));
  EXPECT_TRUE(policy.due(seconds(30)));
}

// Epochs of a second and checkpoints of 60 ms of pause and 190 ms of writing: one in 25 s is what 1 % pays
// for.
TEST(CheckpointPolicy, StretchesTheIntervalUntilTheBudgetHolds) {
  ManualClock clock;
  CheckpointPolicy policy(clock, {.every_epochs = 1, .every = Duration(0), .overhead_budget = 0.01});
  int taken = 0;
  for (int epoch = 1; epoch <= 3600; ++epoch) {
    clock.advance(seconds(1));
    policy.epoch_completed();
    if (!policy.due(taken * milliseconds(190))) continue;
    policy.taken(Duration(60), taken * milliseconds(190));
    ++taken;
    const bool adapts = taken > 1;  // what the first one costs is not known before
    EXPECT_TRUE(!adapts || taken * 0.250 <= 0.01 * epoch) << taken << " after epoch " << epoch;
  }
  EXPECT_GE(taken, 140);
  EXPECT_LE(taken, 144);
}

TEST(CheckpointPolicy, CountsAPauseThatTheClockCannotSeeAsAMillisecond) {
  ManualClock clock;
  CheckpointPolicy policy(clock, {.every_epochs = 1, .every = Duration(0), .overhead_budget = 0.01});
  policy.epoch_completed();
  policy.taken(Duration(0));
  policy.epoch_completed();
  clock.advance(Duration(199));
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
