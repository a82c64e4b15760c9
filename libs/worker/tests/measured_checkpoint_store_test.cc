#include "ktrdr/worker/measured_checkpoint_store.h"

#include "ktrdr/checkpoints/testing/checkpoint_store_contract.h"
#include "ktrdr/checkpoints/testing/memory_checkpoint_store.h"
#include "ktrdr/metrics/testing/exposition.h"
#include "ticking_clock.h"
#include "unreadable_store.h"

namespace ktrdr {
namespace checkpoints::testing {
namespace {

class MeasuredBench final : public CheckpointStoreBench {
 public:
  CheckpointStore& store() override { return measured_; }
  void change_file(const OperationId& operation, CheckpointRef ref, const std::string& file,
                   std::optional<std::string> bytes) override {
    store_.change_file(operation, ref, file, std::move(bytes));
  }

  std::optional<double> value(const std::string& name, const metrics::Labels& labels = {}) {
    return metrics::testing::Exposition(registry_.text()).value(name, labels);
  }
  std::optional<double> restores(const std::string& outcome) {
    return value("ktrdr_checkpoint_restores_total", {{"outcome", outcome}});
  }

  ktrdr::testing::TickingClock clock_{std::chrono::seconds(1)};
  MemoryCheckpointStore store_;
  metrics::Registry registry_;
  worker::MeasuredCheckpointStore measured_{clock_, store_, registry_};
};

std::unique_ptr<CheckpointStoreBench> make_bench() { return std::make_unique<MeasuredBench>(); }
INSTANTIATE_TEST_SUITE_P(Measured, CheckpointStoreContract, ::testing::Values(&make_bench));

const OperationId kOperation{"op_1"};

TEST(MeasuredCheckpointStore, ARestoreIsCountedByWhatWasFoundAndTimed) {
  MeasuredBench bench;
  ASSERT_THAT(put_sample(bench.store(), kOperation, {1, 0}), ktrdr::testing::IsOk());
  EXPECT_EQ(bench.restores("restored"), 0);
  EXPECT_THAT(bench.store().load(kOperation, {1, 0}), ktrdr::testing::IsOk());
  bench.change_file(kOperation, {1, 0}, std::string(kModelFile), "other bytes");
  EXPECT_FALSE(bench.store().load(kOperation, {1, 0}).ok());
  EXPECT_EQ(bench.restores("restored"), 1);
  EXPECT_EQ(bench.restores("damaged"), 1);
  EXPECT_EQ(bench.restores("unreadable"), 0);
  EXPECT_EQ(bench.value("ktrdr_checkpoint_restore_seconds_count"), 2);
  EXPECT_EQ(bench.value("ktrdr_checkpoint_restore_seconds_sum"), 2);
}

TEST(MeasuredCheckpointStore, WhatCanNotBeReadNowIsNoDamage) {
  MeasuredBench bench;
  worker::UnreadableStore disk({ErrorCode::kIo, "Input/output error."});
  const worker::MeasuredCheckpointStore measured(bench.clock_, disk, bench.registry_);
  EXPECT_THAT(measured.load(kOperation, {1, 0}), ktrdr::testing::FailsWith(ErrorCode::kIo));
  EXPECT_EQ(bench.restores("unreadable"), 1);
  EXPECT_EQ(bench.restores("damaged"), 0);
}

// A decorator that forgets it would let the store's default answer: a nearly full disk would go unnoticed.
TEST(MeasuredCheckpointStore, TellsTheRoomThatTheStoreBehindItHas) {
  class SmallStore final : public worker::UnreadableStore {
   public:
    using UnreadableStore::UnreadableStore;
    std::optional<std::uint64_t> free_bytes() const override { return 7; }
  };
  MeasuredBench bench;
  SmallStore small({ErrorCode::kIo, "x"});
  EXPECT_EQ(worker::MeasuredCheckpointStore(bench.clock_, small, bench.registry_).free_bytes(), 7u);
}

}  // namespace
}  // namespace checkpoints::testing
}  // namespace ktrdr
