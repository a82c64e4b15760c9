// What the server counts on the way to the store and to the workers: the real store in memory, and the text
// of a scrape.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/metrics/testing/exposition.h"
#include "ktrdr/services/testing/fake_worker_gateway.h"
#include "ktrdr/storage/memory_repository.h"
#include "ktrdr/storage/sqlite_repository.h"
#include "ktrdr/storage/testing/operations_repository_fixture.h"
#include "measured_repository.h"
#include "measured_worker_gateway.h"
#include "state_metrics.h"

namespace ktrdr::server {
namespace {

using ktrdr::testing::FailsWith;
using metrics::testing::Exposition;
using storage::Fence;
using storage::testing::checkpoint;
using storage::testing::heartbeat;
using storage::testing::new_operation;
using ::testing::IsEmpty;

class Measured : public ::testing::Test {
 protected:
  const OperationId id_{"op_1"};
  const Fence first_{1, {"worker-1"}}, second_{2, {"worker-2"}};
  ktrdr::testing::ManualClock clock_;
  metrics::Registry registry_;
  MeasuredRepository store_{registry_, storage::make_memory_repository(clock_)};

  Exposition scrape() {
    Exposition scrape(registry_.text());
    EXPECT_THAT(scrape.problems(), IsEmpty());
    return scrape;
  }
  double value(const std::string& name, const metrics::Labels& labels = {}) {
    const auto value = scrape().value(name, labels);
    EXPECT_TRUE(value.has_value()) << name;
    return value.value_or(-1);
  }
  double stale(const std::string& kind) {
    return value("ktrdr_stale_writes_refused_total", {{"kind", kind}});
  }

  void create() { ASSERT_TRUE(store_.create(new_operation(id_.value), std::nullopt).ok()); }
  void claim(const Fence& fence) { ASSERT_TRUE(store_.claim(id_, fence, "alpha").ok()); }
  void commit(CheckpointRef ref, std::optional<CheckpointRef> parent) {
    ASSERT_TRUE(store_.commit_checkpoint(id_, {ref.attempt, first_.worker}, checkpoint(ref, parent)).ok());
  }
  void create_claimed() {
    create();
    claim(first_);
  }
  // Claimed by the second worker, so that all that the first one says is late.
  void move_on() {
    create_claimed();
    commit({1, 0}, std::nullopt);
    ASSERT_TRUE(store_.fail(id_, first_, "No disk.", {}).ok());
    ASSERT_TRUE(store_.try_resume(id_, false, {}, std::nullopt).ok());
    claim(second_);
  }
  void beat(std::int64_t failed_saves) {
    api::HeartbeatRequest request = heartbeat(first_);
    request.checkpoint_counts.failed = failed_saves;
    ASSERT_TRUE(store_.heartbeat(id_, request).ok());
  }
  // As the watch over the leases looks, until what has ended is forgotten.
  void look_for_two_leases() {
    for (int look = 0; look < 60; ++look) ASSERT_TRUE(store_.pulses().ok());
  }
};

TEST_F(Measured, AllIsThereWithZeroBeforeAnythingHappens) {
  for (const char* name : {"ktrdr_operation_queue_seconds_count", "ktrdr_leases_lapsed_total",
                           "ktrdr_checkpoints_committed_total", "ktrdr_checkpoint_committed_bytes_total",
                           "ktrdr_checkpoint_failures_total", "ktrdr_checkpoints_rewound_total",
                           "ktrdr_checkpoints_deleted_total", "ktrdr_store_failures_total"})
    EXPECT_EQ(value(name), 0) << name;
  EXPECT_EQ(scrape().series("ktrdr_stale_writes_refused_total"), 8u);
}

TEST_F(Measured, TheQueueTimeIsFromTheStartToTheClaim) {
  create();
  clock_.advance(std::chrono::milliseconds(2500));
  claim(first_);
  EXPECT_EQ(value("ktrdr_operation_queue_seconds_count"), 1);
  EXPECT_EQ(value("ktrdr_operation_queue_seconds_sum"), 2.5);
}

TEST_F(Measured, TheQueueTimeOfAResumeIsFromTheResume) {
  create_claimed();
  commit({1, 0}, std::nullopt);
  clock_.advance(std::chrono::hours(1));
  ASSERT_TRUE(store_.fail(id_, first_, "No disk.", {}).ok());
  clock_.advance(std::chrono::hours(1));
  ASSERT_TRUE(store_.try_resume(id_, false, {}, std::nullopt).ok());
  clock_.advance(std::chrono::seconds(7));
  claim(second_);
  EXPECT_EQ(value("ktrdr_operation_queue_seconds_count"), 2);
  EXPECT_EQ(value("ktrdr_operation_queue_seconds_sum"), 7);
}

TEST_F(Measured, TheQueueTimeOfARestartIsFromTheEndBefore) {
  create_claimed();
  commit({1, 0}, std::nullopt);
  clock_.advance(std::chrono::hours(1));
  ASSERT_TRUE(store_.fail(id_, first_, "No disk.", {.at_most = 1}).ok());
  clock_.advance(std::chrono::seconds(3));
  claim(second_);
  EXPECT_EQ(value("ktrdr_operation_queue_seconds_sum"), 3);
}

TEST_F(Measured, ARepeatedRequestCountsOnce) {
  create_claimed();
  commit({1, 0}, std::nullopt);
  claim(first_);
  commit({1, 0}, std::nullopt);
  EXPECT_EQ(value("ktrdr_operation_queue_seconds_count"), 1);
  EXPECT_EQ(value("ktrdr_checkpoints_committed_total"), 1);
  commit({1, 1}, CheckpointRef{1, 0});
  EXPECT_EQ(value("ktrdr_checkpoints_committed_total"), 2);
  EXPECT_EQ(value("ktrdr_checkpoint_committed_bytes_total"), 2 * 4096);
}

TEST_F(Measured, ARepeatLongAfterItsAttemptBeganIsStillKnown) {
  create_claimed();
  look_for_two_leases();
  claim(first_);
  EXPECT_EQ(value("ktrdr_operation_queue_seconds_count"), 1) << "a running attempt is not forgotten";
}

TEST_F(Measured, EveryRefusedStaleWriteCountsAsWhatItWas) {
  move_on();
  EXPECT_EQ(scrape().sum("ktrdr_stale_writes_refused_total"), 0);
  const api::CheckpointInfo late = checkpoint({1, 1}, CheckpointRef{1, 0});
  const std::string worker = first_.worker.value;
  EXPECT_THAT(store_.claim(id_, first_, "alpha"), FailsWith(ErrorCode::kStale));
  EXPECT_THAT(store_.heartbeat(id_, heartbeat(first_)), FailsWith(ErrorCode::kStale));
  EXPECT_THAT(store_.heartbeat(id_, heartbeat(first_)), FailsWith(ErrorCode::kStale));
  EXPECT_THAT(store_.add_epochs(id_, first_, {}), FailsWith(ErrorCode::kStale));
  EXPECT_THAT(store_.commit_checkpoint(id_, first_, late), FailsWith(ErrorCode::kStale));
  EXPECT_THAT(
      store_.rewind(id_, first_, {.attempt = 1, .worker_id = worker, .bad = {1, 1}, .previous = {1, 0}}),
      FailsWith(ErrorCode::kStale));
  EXPECT_THAT(store_.complete(id_, {.attempt = 1, .worker_id = worker, .model_sha256 = std::string(64, 'b')}),
              FailsWith(ErrorCode::kStale));
  EXPECT_THAT(store_.fail(id_, {1, {"worker-9"}}, "No disk.", {}), FailsWith(ErrorCode::kStale));
  EXPECT_THAT(store_.stopped(id_, {.attempt = 1, .worker_id = worker}, {}), FailsWith(ErrorCode::kStale));
  EXPECT_EQ(stale("heartbeat"), 2);
  for (const char* kind : {"claim", "metrics", "checkpoint", "rewind", "complete", "fail", "stopped"})
    EXPECT_EQ(stale(kind), 1) << kind;
  EXPECT_EQ(value("ktrdr_checkpoints_committed_total"), 1) << "a refused commit is none";
  EXPECT_EQ(value("ktrdr_store_failures_total"), 0) << "a refusal is no failure";
}

TEST_F(Measured, AnotherRefusalIsNotAStaleWrite) {
  create();
  EXPECT_FALSE(store_.get({"op_unknown"}).ok());
  EXPECT_FALSE(store_.heartbeat({"op_unknown"}, heartbeat(first_)).ok());
  claim(first_);
  EXPECT_THAT(store_.claim(id_, {1, {"worker-2"}}, "beta"), FailsWith(ErrorCode::kConflict));
  EXPECT_EQ(scrape().sum("ktrdr_stale_writes_refused_total"), 0);
}

TEST_F(Measured, FailedSavesAreWhatHeartbeatsToldSinceTheClaim) {
  create_claimed();
  beat(2);
  beat(2);
  beat(5);
  beat(3);  // overtaken by the one before
  EXPECT_EQ(value("ktrdr_checkpoint_failures_total"), 5);
}

TEST_F(Measured, FailedSavesOfBeforeThisServerAreNotItsOwn) {
  auto before = storage::make_memory_repository(clock_);
  ASSERT_TRUE(before->create(new_operation(id_.value), std::nullopt).ok());
  ASSERT_TRUE(before->claim(id_, first_, "alpha").ok());
  metrics::Registry registry;
  MeasuredRepository store(registry, std::move(before));
  const auto failures_after = [&](std::int64_t failed) {
    api::HeartbeatRequest request = heartbeat(first_);
    request.checkpoint_counts.failed = failed;
    EXPECT_TRUE(store.heartbeat(id_, request).ok());
    return Exposition(registry.text()).value("ktrdr_checkpoint_failures_total");
  };
  EXPECT_EQ(failures_after(4), 0);
  EXPECT_EQ(failures_after(6), 2);
}

TEST_F(Measured, LapsesRewindsAndDeletionsCount) {
  create_claimed();
  commit({1, 0}, std::nullopt);
  commit({1, 1}, CheckpointRef{1, 0});
  const api::RewindRequest back{
      .attempt = 1, .worker_id = first_.worker.value, .bad = {1, 1}, .previous = {1, 0}, .reason = "x"};
  ASSERT_TRUE(store_.rewind(id_, first_, back).ok());
  ASSERT_TRUE(store_.rewind(id_, first_, back).ok());
  EXPECT_EQ(value("ktrdr_checkpoints_rewound_total"), 1);

  const storage::Pulse watched = store_.pulses().value().front();
  beat(0);
  EXPECT_EQ(store_.end_orphan(watched, "silent", {}).value(), false) << "it moved";
  EXPECT_EQ(value("ktrdr_leases_lapsed_total"), 0);
  EXPECT_EQ(store_.end_orphan(store_.pulses().value().front(), "silent", {}).value(), true);
  EXPECT_EQ(value("ktrdr_leases_lapsed_total"), 1);

  ASSERT_TRUE(store_.drop_checkpoints(id_, {}).ok());
  EXPECT_FALSE(store_.drop_checkpoints(id_, {}).ok());
  EXPECT_EQ(value("ktrdr_checkpoints_deleted_total"), 1);
}

TEST_F(Measured, FailuresOfTheStoreCount) {
  const ktrdr::testing::TemporaryFolder folder;
  MeasuredRepository store(registry_, storage::open_sqlite_repository(folder / "rows.db", clock_).value());
  ASSERT_TRUE(store.create(new_operation(id_.value), std::nullopt).ok());
  std::filesystem::resize_file(folder / "rows.db-wal", 0);  // a disk that lost what it had promised to keep
  EXPECT_FALSE(store.get(id_).ok());
  EXPECT_FALSE(store.list({}).ok());
  EXPECT_EQ(value("ktrdr_store_failures_total"), 2);

  services::WorkerRegistry workers(clock_, std::chrono::seconds(2));
  StateMetrics states(registry_, store, workers);
  states.refresh(0);
  EXPECT_TRUE(std::isnan(value("ktrdr_operations", {{"status", "running"}}))) << "not known, which is not 0";
  EXPECT_TRUE(std::isnan(value("ktrdr_operations", {{"status", "pending"}})));
  EXPECT_EQ(value("ktrdr_store_failures_total"), 3) << "it was asked once, not for every status";
}

TEST_F(Measured, StatesAreGauges) {
  services::WorkerRegistry workers(clock_, std::chrono::seconds(2));
  StateMetrics states(registry_, store_, workers);
  create();
  ASSERT_TRUE(store_.create(new_operation("op_2"), std::nullopt).ok());
  claim(first_);
  ASSERT_TRUE(workers.add({.worker_id = "worker-1", .endpoint_url = "http://127.0.0.1:1"}).ok());
  EXPECT_EQ(value("ktrdr_operations", {{"status", "running"}}), 0) << "until it is looked at";
  states.refresh(3);
  states.saw({{.claimed = 1, .longest_silence = std::chrono::milliseconds(1500)}});
  EXPECT_EQ(value("ktrdr_operations", {{"status", "running"}}), 1);
  EXPECT_EQ(value("ktrdr_operations", {{"status", "pending"}}), 1);
  EXPECT_EQ(value("ktrdr_operations", {{"status", "failed"}}), 0);
  EXPECT_EQ(scrape().series("ktrdr_operations"), 5u);
  EXPECT_EQ(value("ktrdr_workers", {{"status", "available"}}), 1);
  EXPECT_EQ(value("ktrdr_workers", {{"status", "busy"}}), 0);
  EXPECT_EQ(value("ktrdr_local_workers_dying"), 3);
  EXPECT_EQ(value("ktrdr_operations_claimed"), 1);
  EXPECT_EQ(value("ktrdr_lease_age_seconds"), 1.5);
  states.saw(std::nullopt);
  EXPECT_TRUE(std::isnan(value("ktrdr_lease_age_seconds"))) << "not 0: nobody could look";

  clock_.advance(std::chrono::seconds(60));
  states.refresh(0);
  EXPECT_EQ(value("ktrdr_workers", {{"status", "available"}}), 0);
  EXPECT_EQ(value("ktrdr_workers", {{"status", "temporarily_unavailable"}}), 1);
}

TEST(MeasuredWorkerGateway, CallsAreCountedByHowTheyEnded) {
  metrics::Registry registry;
  services::testing::FakeWorkerGateway workers;
  MeasuredWorkerGateway gateway(registry, workers);
  const auto calls = [&registry](const std::string& call, const std::string& outcome) {
    return Exposition(registry.text())
        .value("ktrdr_worker_calls_total", {{"call", call}, {"outcome", outcome}});
  };
  EXPECT_EQ(calls("cancel", "unreachable"), 0);
  EXPECT_TRUE(gateway.start({.worker_id = "worker-1"}, {.operation_id = "op_1"}).ok());
  workers.will_answer(Error(ErrorCode::kConflict, "busy"));
  EXPECT_THAT(gateway.resume({.worker_id = "worker-1"}, {.operation_id = "op_1"}),
              FailsWith(ErrorCode::kConflict));
  workers.will_answer(Error(ErrorCode::kUnavailable, "away"));
  EXPECT_THAT(gateway.cancel({.worker_id = "worker-1"}, {"op_1"}), FailsWith(ErrorCode::kUnavailable));
  EXPECT_EQ(workers.calls().size(), 3u);
  EXPECT_EQ(calls("start", "taken"), 1);
  EXPECT_EQ(calls("resume", "refused"), 1);
  EXPECT_EQ(calls("cancel", "unreachable"), 1);
  EXPECT_EQ(Exposition(registry.text()).sum("ktrdr_worker_calls_total"), 3);
}

}  // namespace
}  // namespace ktrdr::server
