#include "ktrdr/training/trainer_state.h"

#include <gtest/gtest.h>

#include <functional>

#include "ktrdr/core/testing/matchers.h"

namespace ktrdr::training {
namespace {

using checkpoints::DType;
using checkpoints::TensorMap;
using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;

const double kNan = std::numeric_limits<double>::quiet_NaN();

TrainerState example() {
  TrainerState state;
  state.seed = 42;
  state.position = {.start_epoch = 2, .start_batch = 3};
  state.global_step = 15;
  state.running = {1.0 / 3, 0.1, 1e-310, 7, 48};
  state.best = {.epoch = 1, .validation_loss = 0.1 + 0.2, .validation_accuracy = 0.625};
  state.schedule = {.learning_rate = 1e-3 / 7, .epochs = 2, .best = 0.3, .bad_epochs = 1};
  state.early_stopping = {.best_score = -0.3, .misses = 1};
  state.history = {
      {.epoch = 0, .train_loss = 1.0 / 3, .train_accuracy = 0.5, .val_loss = kNan, .learning_rate = 1e-3},
      {.epoch = 1, .train_loss = -0.0, .val_loss = 0.3, .val_accuracy = 0.7, .learning_rate = 1e-4}};
  state.class_weights = {0.1F, 0.2F, 2.7F};
  state.normalization = {{0, 1, 12.5, 1.0 / 3}, {3, 2, -0.0, 2}};
  return state;
}

TensorMap written(const TrainerState& state) {
  TensorMap map;
  write_trainer_state(state, map);
  return map;
}

TEST(TrainerState, ComesBackBitForBit) {
  const TensorMap map = written(example());
  const auto read = read_trainer_state(map);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(written(*read), map);
  EXPECT_EQ(read->position, example().position);
  EXPECT_EQ(read->running, example().running);
  EXPECT_EQ(read->best, example().best);
  EXPECT_EQ(read->schedule, example().schedule);
  EXPECT_EQ(read->early_stopping, example().early_stopping);
  EXPECT_EQ(read->normalization, example().normalization);
  EXPECT_EQ(read->history[1], example().history[1]);
}

TEST(TrainerState, TellsNanFromAbsent) {
  const auto read = read_trainer_state(written(example()));
  ASSERT_THAT(read, IsOk());
  ASSERT_TRUE(read->history[0].val_loss.has_value());
  EXPECT_TRUE(std::isnan(*read->history[0].val_loss));
  EXPECT_FALSE(read->history[0].val_accuracy.has_value());
}

TEST(TrainerState, OfAFreshRunComesBackToo) {
  TrainerState fresh;
  fresh.schedule = start_schedule(0.1);
  const auto read = read_trainer_state(written(fresh));
  ASSERT_THAT(read, IsOk());
  EXPECT_FALSE(read->best.exists());
  EXPECT_EQ(read->position.epoch(), -1);
}

TEST(TrainerState, IsWrittenIntoTheSameMapAgain) {
  TensorMap map = written(TrainerState{});
  write_trainer_state(example(), map);
  EXPECT_EQ(map, written(example()));
  write_trainer_state(TrainerState{}, map);
  EXPECT_EQ(map, written(TrainerState{}));
}

TEST(TrainerState, RefusesEveryMissingTensorByName) {
  const TensorMap whole = written(example());
  for (const auto& missing : whole.views()) {
    TensorMap map;
    for (const auto& tensor : whole.views()) {
      if (tensor.name != missing.name) map.put(tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
    }
    const auto read = read_trainer_state(map);
    EXPECT_THAT(read, FailsWith(ErrorCode::kCheckpointCorrupted)) << missing.name;
    EXPECT_THAT(read, SaysError(missing.name));
  }
}

TEST(TrainerState, RefusesEveryTensorOfAnotherTypeByName) {
  for (const auto& changed : written(example()).views()) {
    TensorMap map = written(example());
    map.add(changed.name, DType::kU8, changed.shape);
    const auto read = read_trainer_state(map);
    EXPECT_THAT(read, FailsWith(ErrorCode::kCheckpointCorrupted)) << changed.name;
    EXPECT_THAT(read, SaysError(changed.name));
  }
}

TEST(TrainerState, RefusesEveryTensorOfAnotherSize) {
  for (const auto& changed : written(example()).views()) {
    TensorMap map = written(example());
    map.add(changed.name, changed.dtype, std::vector<std::int64_t>{2, 7});
    EXPECT_THAT(read_trainer_state(map), FailsWith(ErrorCode::kCheckpointCorrupted)) << changed.name;
  }
}

TEST(TrainerState, RefusesATensorItDoesNotKnow) {
  TensorMap map = written(example());
  map.put_scalar("momentum", 0.9);
  EXPECT_THAT(read_trainer_state(map), FailsWith(ErrorCode::kCheckpointCorrupted));
}

TEST(TrainerState, SaysThatANewerVersionIsNotItsOwn) {
  TensorMap map = written(example());
  map.put_scalar("version", std::int64_t{2});
  EXPECT_THAT(read_trainer_state(map), FailsWith(ErrorCode::kUnsupported));
}

TEST(TrainerState, RefusesAFlagThatIsNeitherZeroNorOne) {
  TensorMap map = written(example());
  map.put_scalar("stopped_early", std::int64_t{2});
  EXPECT_THAT(read_trainer_state(map), SaysError("stopped_early"));
}

struct Damage {
  const char* name;
  std::function<void(TrainerState&)> apply;
};

TEST(TrainerState, RefusesWhatNoTrainerWrites) {
  const Damage damages[] = {{"negative epoch", [](TrainerState& s) { s.position.start_epoch = -1; }},
                            {"negative batch", [](TrainerState& s) { s.position.start_batch = -1; }},
                            {"negative step", [](TrainerState& s) { s.global_step = -1; }},
                            {"a row missing", [](TrainerState& s) { s.history.pop_back(); }},
                            {"a row too many", [](TrainerState& s) { s.history.push_back({.epoch = 2}); }},
                            {"an epoch twice", [](TrainerState& s) { s.history[1].epoch = 0; }},
                            {"finished inside an epoch", [](TrainerState& s) { s.position.finished = true; }},
                            {"stopped early, not finished", [](TrainerState& s) { s.stopped_early = true; }},
                            {"more correct than rows", [](TrainerState& s) { s.running.correct = 49; }},
                            {"sums without a batch", [](TrainerState& s) { s.position.start_batch = 0; }},
                            {"pending without a batch",
                             [](TrainerState& s) {
                               s.running = {};
                               s.position = {.start_epoch = 2, .validation_pending = true};
                             }},
                            {"a best epoch to come", [](TrainerState& s) { s.best.epoch = 2; }},
                            {"negative misses", [](TrainerState& s) { s.early_stopping.misses = -1; }},
                            {"negative bad epochs", [](TrainerState& s) { s.schedule.bad_epochs = -1; }}};
  for (const Damage& damage : damages) {
    TrainerState state = example();
    damage.apply(state);
    EXPECT_THAT(read_trainer_state(written(state)), FailsWith(ErrorCode::kCheckpointCorrupted))
        << damage.name;
  }
}

}  // namespace
}  // namespace ktrdr::training
