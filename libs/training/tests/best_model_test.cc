#include "ktrdr/training/best_model.h"

#include <gtest/gtest.h>

#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/training/testing/example_training.h"
#include "ktrdr/training/testing/fake_engine.h"

namespace ktrdr::training::testing {
namespace {

using checkpoints::TensorMap;
using ktrdr::testing::IsOk;

class BestModelTest : public ::testing::Test {
 protected:
  void train() {
    ASSERT_THAT(engine_->train_batch(std::vector<std::int64_t>{step_, 7, 9}, step_, 0.05), IsOk());
    ++step_;
  }
  TensorMap weights() const {
    TensorMap map;
    engine_->snapshot_model(map);
    return map;
  }

  const strategy::Strategy strategy_ = example_strategy();
  const strategy::Dataset dataset_ = example_dataset();
  std::unique_ptr<Engine> engine_ = FakeEngineFactory().create(strategy_, dataset_, 42).value();
  std::int64_t step_ = 0;
  BestModel best_;
};

TEST_F(BestModelTest, IsNoneAtFirst) { EXPECT_EQ(best_.share(), nullptr); }

TEST_F(BestModelTest, IsACopyThatTrainingDoesNotChange) {
  best_.remember(*engine_);
  const TensorMap then = weights();
  train();
  ASSERT_NE(weights(), then);
  EXPECT_EQ(*best_.share(), then);
}

TEST_F(BestModelTest, WhatIsSharedStaysAsItWas) {
  best_.remember(*engine_);
  const auto being_saved = best_.share();
  const TensorMap then = *being_saved;
  for (int i = 0; i < 3; ++i) {
    train();
    best_.remember(*engine_);
    EXPECT_EQ(*best_.share(), weights());
    EXPECT_EQ(*being_saved, then);
  }
}

TEST_F(BestModelTest, MemoryIsUsedAgainAndThereAreTwoPiecesAtMost) {
  best_.remember(*engine_);
  const TensorMap* first = best_.share().get();
  best_.remember(*engine_);
  EXPECT_EQ(best_.share().get(), first) << "nobody reads it";
  auto being_saved = best_.share();
  best_.remember(*engine_);
  const TensorMap* second = best_.share().get();
  ASSERT_NE(second, first);
  being_saved = best_.share();  // the next save reads the second one
  best_.remember(*engine_);
  EXPECT_EQ(best_.share().get(), first);
}

TEST_F(BestModelTest, ComesBackFromViews) {
  const TensorMap given = weights();
  best_.restore(given.views());
  EXPECT_EQ(*best_.share(), given);
}

}  // namespace
}  // namespace ktrdr::training::testing
