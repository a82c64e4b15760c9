#include "checkpoint_writer.h"

#include <gtest/gtest.h>

#include "ktrdr/checkpoints/testing/memory_checkpoint_store.h"
#include "ktrdr/client/testing/scripted_server.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/worker/server_link.h"

namespace ktrdr::worker {
namespace {

using client::testing::ScriptedServer;
using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ::testing::ElementsAre;
using namespace std::chrono_literals;

const std::string kCommitRoute = "POST /api/v1/operations/op_1/checkpoints";
const std::string kCommitted = R"({"success":true,"dropped":[],"version":3})";

training::TrainingSnapshot snapshot(std::int64_t epoch) {
  training::TrainingSnapshot taken;
  for (auto* tensors : {&taken.model, &taken.optimizer, &taken.trainer}) tensors->put_scalar("x", epoch);
  taken.position.start_epoch = epoch;
  taken.global_step = 10 * epoch;
  return taken;
}

// A writer between a real store in memory and a real HTTP server that answers what a test tells it to.
struct Bench {
  ScriptedServer server;
  SystemClock clock;
  checkpoints::testing::MemoryCheckpointStore store;
  ServerLink link{{.url = server.url()}, [](const std::string&) { return std::nullopt; }};
  RunReport report;
  training::StopSignal stop;
  CheckpointPipeline pipeline{
      clock, store,
      link,  report,
      stop,  {.operation = {"op_1"}, .attempt = 1, .worker = {"worker-1"}, .strategy_yaml = "name: x\n"}};
  CheckpointWriter writer{pipeline};

  void answer(client::testing::ScriptedAnswer answer) { server.answer(kCommitRoute, std::move(answer)); }
  std::vector<api::CommitCheckpointRequest> commits() {
    std::vector<api::CommitCheckpointRequest> seen;
    for (const auto& request : server.requests(kCommitRoute)) {
      seen.push_back(*api::from_json<api::CommitCheckpointRequest>(request.body));
    }
    return seen;
  }
  template <class Condition>
  bool wait_for(Condition condition) {
    Synchronized<int> never;
    for (int i = 0; i < 2000; ++i) {
      if (condition()) return true;
      never.wait(
          5ms, [](int&) { return false; }, [](int&, bool) {});
    }
    return false;
  }
  void save(const training::TrainingSnapshot& taken) {
    writer.save_in_background(taken, CheckpointType::kPeriodic);
    writer.wait_until_idle();
  }
};

TEST(CheckpointWriter, SavesTheObjectFirstAndThenTheRow) {
  Bench bench;
  bench.answer({200, kCommitted});
  ASSERT_THAT(bench.writer.save_now(snapshot(3), CheckpointType::kCancellation), IsOk());
  EXPECT_EQ(bench.pipeline.acknowledged(), (CheckpointRef{1, 0}));
  EXPECT_THAT(bench.store.load({"op_1"}, {1, 0}), IsOk());
  const auto commits = bench.commits();
  ASSERT_EQ(commits.size(), 1u);
  EXPECT_FALSE(commits[0].checkpoint.parent.has_value());
  EXPECT_EQ(commits[0].checkpoint.checkpoint_type, CheckpointType::kCancellation);
  EXPECT_EQ(commits[0].checkpoint.epoch, 2) << "the last completed epoch";
  EXPECT_EQ(commits[0].checkpoint.start_epoch, 3);
}

TEST(CheckpointWriter, EachCommitNamesTheLastAcknowledgedOne) {
  Bench bench;
  bench.answer({200, kCommitted});
  ASSERT_THAT(bench.writer.save_now(snapshot(1), CheckpointType::kInitial), IsOk());
  ASSERT_THAT(bench.writer.save_now(snapshot(2), CheckpointType::kPeriodic), IsOk());
  EXPECT_EQ(bench.commits()[1].checkpoint.parent, (CheckpointRef{1, 0}));
}

TEST(CheckpointWriter, DeletesWhatTheServerDropped) {
  Bench bench;
  bench.answer({200, kCommitted});
  bench.answer({200, R"({"success":true,"dropped":["1-0"],"version":3})"});
  ASSERT_THAT(bench.writer.save_now(snapshot(1), CheckpointType::kInitial), IsOk());
  ASSERT_THAT(bench.writer.save_now(snapshot(2), CheckpointType::kPeriodic), IsOk());
  EXPECT_TRUE(bench.wait_for([&] { return bench.store.list({"op_1"})->size() == 1; }));
}

TEST(CheckpointWriter, RepeatsACommitWhoseAnswerWasLost) {
  Bench bench;
  bench.answer({.hang_up = true});
  bench.answer({200, kCommitted});
  ASSERT_THAT(bench.writer.save_now(snapshot(1), CheckpointType::kPeriodic), IsOk());
  const auto commits = bench.commits();
  ASSERT_GE(commits.size(), 2u);
  EXPECT_EQ(commits.front().checkpoint, commits.back().checkpoint) << "the same checkpoint, word for word";
  EXPECT_GT(commits.back().taken_ms_ago, commits.front().taken_ms_ago) << "which is older by then";
}

// Whoever got the port of a server that is down.
TEST(CheckpointWriter, RepeatsACommitThatAnotherProgramRefused) {
  Bench bench;
  bench.answer({404, "<html>Not Found</html>"});
  bench.answer({405, R"({"detail":"Method Not Allowed"})"});
  bench.answer({200, kCommitted});
  ASSERT_THAT(bench.writer.save_now(snapshot(1), CheckpointType::kPeriodic), IsOk());
  EXPECT_EQ(bench.commits().size(), 3u);
}

// The commit of 1-0 was sent and perhaps applied, so 1-0 stays; of the later ones only the newest is kept,
// and it is committed on top of 1-0 once that is known to count.
TEST(CheckpointWriter, KeepsOnlyTheNewestWhileTheServerIsAway) {
  Bench bench;
  bench.server.go_down();
  const auto first = snapshot(1), second = snapshot(2), third = snapshot(3);
  bench.save(first);
  ASSERT_TRUE(bench.wait_for([&] { return bench.writer.idle(); }));
  bench.save(second);
  bench.save(third);
  EXPECT_TRUE(bench.wait_for([&] { return bench.store.list({"op_1"})->size() == 2; }));
  EXPECT_THAT(*bench.store.list({"op_1"}), ElementsAre(CheckpointRef{1, 0}, CheckpointRef{1, 2}));

  bench.answer({200, kCommitted});
  bench.server.come_back();
  EXPECT_TRUE(bench.wait_for([&] { return bench.pipeline.acknowledged() == CheckpointRef{1, 2}; }));
  const auto commits = bench.commits();
  EXPECT_EQ(commits.back().checkpoint.ref, (CheckpointRef{1, 2}));
  EXPECT_EQ(commits.back().checkpoint.parent, (CheckpointRef{1, 0}));
}

TEST(CheckpointWriter, ARefusalStopsTheTrainingAtOnce) {
  Bench bench;
  bench.answer(
      {409, R"({"success":false,"detail":"gone","error":{"code":"STALE","message":"gone","details":{}}})"});
  EXPECT_THAT(bench.writer.save_now(snapshot(1), CheckpointType::kPeriodic), FailsWith(ErrorCode::kStale));
  EXPECT_EQ(bench.stop.requested(), training::StopRequest::kAbandon);
  EXPECT_FALSE(bench.pipeline.acknowledged().has_value());
}

TEST(CheckpointWriter, AFullDiskIsAWarningAndTheNextSaveTriesAgain) {
  Bench bench;
  bench.answer({200, kCommitted});
  bench.store.fail_next_put({ErrorCode::kIo, "No space left on device."});
  bench.save(snapshot(1));
  EXPECT_TRUE(bench.wait_for([&] { return !bench.report.unsent().warnings.empty(); }));
  EXPECT_NE(bench.report.unsent().warnings.front().find("No space left"), std::string::npos);
  EXPECT_FALSE(bench.stop.is_set()) << "training goes on";
  ASSERT_THAT(bench.writer.save_now(snapshot(2), CheckpointType::kPeriodic), IsOk());
  EXPECT_EQ(bench.pipeline.acknowledged(), (CheckpointRef{1, 1})) << "a failed name is never used again";
}

TEST(CheckpointWriter, CountsWhatItSavedAndWhatItCouldNot) {
  Bench bench;
  bench.answer({200, kCommitted});
  bench.store.fail_next_put({ErrorCode::kIo, "No space left on device."});
  bench.save(snapshot(1));
  ASSERT_THAT(bench.writer.save_now(snapshot(2), CheckpointType::kPeriodic), IsOk());
  const api::CheckpointCounts counts = bench.report.checkpoint_counts();
  EXPECT_EQ(counts.saved, 1);
  EXPECT_EQ(counts.failed, 1);
  EXPECT_EQ(counts.bytes_saved, bench.commits().front().checkpoint.size_bytes);
  EXPECT_GT(counts.bytes_saved, 0);
  EXPECT_GT(bench.writer.background_cost().count(), 0);
}

TEST(CheckpointWriter, TellsTheFirstFailureAndThatItWorksAgainAndNothingInBetween) {
  Bench bench;
  bench.answer({200, kCommitted});
  for (int i = 0; i < 5; ++i) {
    bench.store.fail_next_put({ErrorCode::kIo, "No space left on device."});
    bench.save(snapshot(1));
  }
  ASSERT_THAT(bench.writer.save_now(snapshot(2), CheckpointType::kPeriodic), IsOk());
  const auto warnings = bench.report.unsent().warnings;
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_NE(warnings[0].find("Checkpoint 1-0 was not saved"), std::string::npos) << warnings[0];
  EXPECT_EQ(warnings[1], "Checkpoint 1-5 was saved again, after 5 failures in a row.");
  EXPECT_EQ(bench.report.checkpoint_counts().failed, 5);
}

// A second refusal is as final as a first one: it is told with the reason of the server.
TEST(CheckpointWriter, ARefusedCommitIsAFailureToo) {
  Bench bench;
  bench.answer(
      {409, R"({"success":false,"detail":"no","error":{"code":"CONFLICT","message":"no","details":{}}})"});
  EXPECT_THAT(bench.writer.save_now(snapshot(1), CheckpointType::kPeriodic), FailsWith(ErrorCode::kConflict));
  EXPECT_EQ(bench.report.checkpoint_counts().failed, 1);
  EXPECT_EQ(bench.report.unsent().warnings.size(), 1u);
}

TEST(CheckpointWriter, WhatSomebodyElseOwnsIsNoFailureOfSaving) {
  Bench bench;
  bench.answer(
      {409, R"({"success":false,"detail":"gone","error":{"code":"STALE","message":"gone","details":{}}})"});
  EXPECT_THAT(bench.writer.save_now(snapshot(1), CheckpointType::kPeriodic), FailsWith(ErrorCode::kStale));
  EXPECT_EQ(bench.report.checkpoint_counts(),
            api::CheckpointCounts{.processor_seconds = bench.report.checkpoint_counts().processor_seconds});
  EXPECT_TRUE(bench.report.unsent().warnings.empty());
}

TEST(CheckpointWriter, AShutdownGivesUpAtItsDeadline) {
  Bench bench;
  bench.server.go_down();
  bench.pipeline.give_up_at(bench.clock.monotonic());
  EXPECT_THAT(bench.writer.save_now(snapshot(1), CheckpointType::kShutdown),
              FailsWith(ErrorCode::kUnavailable));
}

TEST(CheckpointWriter, NobodyWaitsForAnAbandonedRun) {
  Bench bench;
  bench.server.go_down();
  bench.pipeline.abandon();
  EXPECT_THAT(bench.writer.save_now(snapshot(1), CheckpointType::kPeriodic), FailsWith(ErrorCode::kStale));
}

}  // namespace
}  // namespace ktrdr::worker
