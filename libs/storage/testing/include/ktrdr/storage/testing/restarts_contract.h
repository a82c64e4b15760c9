// The part of the repository's contract about attempts that begin without anybody asking.
// Included by operations_repository_contract.h, which tells how to run it.
#pragma once

#include "ktrdr/storage/testing/contract_base.h"

namespace ktrdr::storage::testing {

constexpr RestartRule kTwice{.at_most = 2};

class Restarts : public OperationsRepositoryContract {
 protected:
  static RestartRule failing_at(std::int64_t epoch, std::int64_t batch, std::int64_t at_most = 9) {
    return {.at_most = at_most, .failed_at = BatchPosition{epoch, batch}};
  }

  // The next attempt, claimed by a worker of its own.
  Fence claim(const OperationId& id) {
    const Attempt attempt = get(id).attempt;
    const Fence fence{attempt, {"worker-" + std::to_string(attempt)}};
    EXPECT_THAT(store().claim(id, fence, "alpha"), IsOk());
    return fence;
  }

  void tell_place(const OperationId& id, const Fence& fence, BatchPosition at,
                  Phase phase = Phase::kTraining) {
    api::HeartbeatRequest beat = heartbeat(fence);
    beat.phase = phase;
    beat.progress.context.epoch = at.epoch;
    beat.progress.context.batch = at.batch;
    EXPECT_THAT(store().heartbeat(id, beat), IsOk());
  }
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Restarts);

TEST_P(Restarts, AFailureBecomesTheNextAttemptFromTheSameCheckpoint) {
  const OperationId id = create();
  const Fence fence = start(id);
  ASSERT_THAT(store().heartbeat(id, heartbeat(fence, {0, 1})), IsOk());
  const api::Operation before = get(id);
  const api::Operation after = store().fail(id, fence, "out of memory", kTwice).value();
  EXPECT_EQ(after.status, OperationStatus::kRunning);
  EXPECT_EQ(after.phase, Phase::kQueued);
  EXPECT_EQ(after.attempt, 2);
  EXPECT_EQ(after.version, before.version + 1);
  EXPECT_EQ(after.started_at, before.started_at);
  EXPECT_EQ(after.checkpoint->ref, (CheckpointRef{1, 1}));
  EXPECT_EQ(after.restarts, 1);
  EXPECT_EQ(after.restart_reason, "out of memory");
  EXPECT_FALSE(after.worker_id || after.last_heartbeat_at || after.completed_at || after.error_message);
  const std::vector<Waiting> waiting = store().waiting(10).value();
  ASSERT_EQ(waiting.size(), 1u);
  EXPECT_TRUE(waiting[0].is_resume);
  EXPECT_EQ(waiting[0].attempt, 2);
  EXPECT_EQ(waiting[0].restarts, 1);
  const Claimed claimed = store().claim(id, {2, {"worker-2"}}, "beta").value();
  EXPECT_EQ(claimed.current_checkpoint, (CheckpointRef{1, 1}));
  EXPECT_EQ(claimed.next_sequence, 2);
  EXPECT_EQ(claimed.operation.metrics->epochs.size(), 1u);  // rewound to the checkpoint
}

TEST_P(Restarts, TheAttemptBeforeIsFencedOffAtOnce) {
  const OperationId id = create();
  const Fence old = start(id);
  ASSERT_THAT(store().fail(id, old, "out of memory", kTwice), IsOk());
  const std::string before = everything(id);
  EXPECT_THAT(store().heartbeat(id, heartbeat(old)), FailsWith(ErrorCode::kStale));
  EXPECT_THAT(store().commit_checkpoint(id, old, checkpoint({1, 2}, CheckpointRef{1, 1}, 1)),
              FailsWith(ErrorCode::kStale));
  EXPECT_THAT(store().complete(id, completion(old)), FailsWith(ErrorCode::kStale));
  EXPECT_THAT(store().fail(id, old, "another reason", kTwice), FailsWith(ErrorCode::kStale));
  EXPECT_THAT(store().stopped(id, stop(old, api::StopReason::kShutdown), kTwice),
              FailsWith(ErrorCode::kStale));
  EXPECT_THAT(store().claim(id, old, "alpha"), FailsWith(ErrorCode::kStale));
  EXPECT_EQ(everything(id), before);
}

TEST_P(Restarts, TheSameFailureReportedAgainRestartsOnce) {
  const OperationId id = create();
  const Fence fence = start(id);
  const std::string first = api::to_json(store().fail(id, fence, "out of memory", kTwice).value());
  EXPECT_EQ(api::to_json(store().fail(id, fence, "out of memory", kTwice).value()), first);
  EXPECT_THAT(store().fail(id, {1, {"worker-9"}}, "out of memory", kTwice), FailsWith(ErrorCode::kStale));
  claim(id);
  EXPECT_THAT(store().fail(id, fence, "out of memory", kTwice), FailsWith(ErrorCode::kStale));
  EXPECT_EQ(get(id).restarts, 1);
}

TEST_P(Restarts, AfterTheLastOneTheOperationFailsAndSaysSo) {
  const OperationId id = create();
  start(id);
  for (int i = 0; i < 2; ++i) {
    const Fence fence = i == 0 ? Fence{1, {"worker-1"}} : claim(id);
    ASSERT_EQ(store().fail(id, fence, "out of memory", kTwice).value().status, OperationStatus::kRunning);
  }
  const Fence last = claim(id);
  const api::Operation ended = store().fail(id, last, "out of memory", kTwice).value();
  EXPECT_EQ(ended.status, OperationStatus::kFailed);
  EXPECT_THAT(ended.error_message.value(), ::testing::StartsWith("out of memory"));
  EXPECT_THAT(ended.error_message.value(), HasSubstr("--max-restarts"));
  EXPECT_EQ(ended.restarts, 2);
  EXPECT_EQ(api::to_json(store().fail(id, last, "out of memory", kTwice).value()), api::to_json(ended));
}

TEST_P(Restarts, AResumeByAPersonBeginsToCountAnew) {
  const OperationId id = create();
  const RestartRule once = failing_at(3, 7, 1);
  ASSERT_THAT(store().fail(id, start(id), "x", once), IsOk());
  ASSERT_EQ(store().fail(id, claim(id), "x", once).value().status, OperationStatus::kFailed);
  ASSERT_THAT(resume(id), IsOk());
  EXPECT_FALSE(get(id).restarts || get(id).restart_reason);
  EXPECT_EQ(store().waiting(10).value().at(0).restarts, 0);
  EXPECT_EQ(store().fail(id, claim(id), "x", once).value().status, OperationStatus::kRunning);
  EXPECT_EQ(get(id).restarts, 1);
}

TEST_P(Restarts, ABatchThatFailsTwiceInARowEndsTheOperationAndIsNamed) {
  const OperationId id = create();
  ASSERT_EQ(store().fail(id, start(id), "boom", failing_at(3, 7)).value().status, OperationStatus::kRunning);
  const api::Operation ended = store().fail(id, claim(id), "boom", failing_at(3, 7)).value();
  EXPECT_EQ(ended.status, OperationStatus::kFailed);
  EXPECT_THAT(ended.error_message.value(), HasSubstr("Epoch 3, batch 7 failed twice in a row"));
  EXPECT_EQ(ended.restarts, 1);
}

TEST_P(Restarts, AnotherBatchIsAnotherFailure) {
  const OperationId id = create();
  ASSERT_THAT(store().fail(id, start(id), "boom", failing_at(3, 7)), IsOk());
  for (const RestartRule& rule : {failing_at(3, 8), failing_at(4, 8), failing_at(3, 7), RestartRule{9, {}},
                                  RestartRule{9, {}}, failing_at(3, 7)}) {
    EXPECT_EQ(store().fail(id, claim(id), "boom", rule).value().status, OperationStatus::kRunning);
  }
  EXPECT_EQ(get(id).restarts, 7);
}

TEST_P(Restarts, ACancelRequestWinsOverEveryRestart) {
  for (const std::string name : {"failed", "lost", "shut_down"}) {
    const OperationId id = create("op_" + name);
    const Fence fence = start(id);
    ASSERT_THAT(store().request_cancel(id, "not needed", {}), IsOk());
    if (name == "failed") {
      ASSERT_THAT(store().fail(id, fence, "boom", kTwice), IsOk());
    }
    if (name == "lost") {
      ASSERT_TRUE(store().end_orphan(pulse_of(id), "silent", kTwice).value());
    }
    if (name == "shut_down") {
      ASSERT_THAT(store().stopped(id, stop(fence, api::StopReason::kShutdown), kTwice), IsOk());
    }
    EXPECT_EQ(get(id).status, name == "failed" ? OperationStatus::kFailed : OperationStatus::kCancelled);
    EXPECT_EQ(get(id).attempt, 1);
    EXPECT_FALSE(get(id).restarts || get(id).restart_reason);
  }
}

TEST_P(Restarts, ALapsedLeaseBecomesTheNextAttemptUnlessAHeartbeatCame) {
  const OperationId id = create();
  const Fence fence = start(id);
  const Pulse watched = pulse_of(id);
  ASSERT_THAT(store().heartbeat(id, heartbeat(fence)), IsOk());
  const std::string before = everything(id);
  EXPECT_FALSE(store().end_orphan(watched, "silent", kTwice).value());
  EXPECT_EQ(everything(id), before);
  EXPECT_TRUE(store().end_orphan(pulse_of(id), "silent", kTwice).value());
  EXPECT_EQ(get(id).status, OperationStatus::kRunning);
  EXPECT_EQ(get(id).attempt, 2);
  EXPECT_EQ(get(id).restart_reason, "silent");
  EXPECT_THAT(store().pulses().value(), IsEmpty());
  EXPECT_THAT(store().heartbeat(id, heartbeat(fence)), FailsWith(ErrorCode::kStale));
}

TEST_P(Restarts, AWorkerThatFallsSilentTwiceAtTheSameBatchEndsTheOperation) {
  const OperationId id = create();
  tell_place(id, start(id), {2, 5});
  ASSERT_TRUE(store().end_orphan(pulse_of(id), "silent", {.at_most = 9}).value());
  tell_place(id, claim(id), {2, 5});
  ASSERT_TRUE(store().end_orphan(pulse_of(id), "silent", {.at_most = 9}).value());
  EXPECT_EQ(get(id).status, OperationStatus::kFailed);
  EXPECT_THAT(get(id).error_message.value(), HasSubstr("Epoch 2, batch 5"));
}

// Bad luck is no bug: a worker that was lost before it had trained, or in between, says nothing of a batch.
TEST_P(Restarts, WorkersLostBeforeTheyGotAnywhereAreNoPoisonBatch) {
  const OperationId id = create();
  start(id);  // its checkpoint is at epoch 1, batch 0
  tell_place(id, {1, {"worker-1"}}, {1, 0});
  for (const Phase phase : {Phase::kTraining, Phase::kRestoring, Phase::kValidating, Phase::kEvaluating}) {
    ASSERT_TRUE(store().end_orphan(pulse_of(id), "silent", {.at_most = 9}).value());
    ASSERT_EQ(get(id).status, OperationStatus::kRunning);
    const BatchPosition at = phase == Phase::kTraining ? BatchPosition{1, 0} : BatchPosition{2, 5};
    tell_place(id, claim(id), at, phase);
  }
}

TEST_P(Restarts, AnAttemptThatDiedBeforeItsFirstCheckpointBeginsAgain) {
  const OperationId id = create();
  ASSERT_THAT(store().claim(id, {1, {"worker-1"}}, "alpha"), IsOk());
  ASSERT_TRUE(store().end_orphan(pulse_of(id), "silent", kTwice).value());
  EXPECT_FALSE(store().waiting(10).value().at(0).is_resume);
  EXPECT_THAT(store().claim(id, {2, {"worker-2"}}, "beta"), IsOk());
  EXPECT_THAT(store().commit_checkpoint(id, {2, {"worker-2"}}, checkpoint({2, 0}, std::nullopt)), IsOk());
}

TEST_P(Restarts, AWorkerThatIsShutDownHandsTheOperationBack) {
  const OperationId id = create();
  const Fence fence = start(id);
  ASSERT_THAT(store().fail(id, fence, "boom", failing_at(3, 7)), IsOk());
  const Fence second = claim(id);
  api::StoppedRequest stopped = stop(second, api::StopReason::kShutdown);
  stopped.progress.percentage = 60;
  stopped.epochs = heartbeat(second, {0}).epochs;
  stopped.warning = "slow";
  const api::Operation after = store().stopped(id, stopped, kTwice).value();
  EXPECT_EQ(after.status, OperationStatus::kRunning);
  EXPECT_EQ(after.attempt, 3);
  EXPECT_EQ(after.restarts, 1);  // a shutdown is no failure
  EXPECT_THAT(after.restart_reason.value(), HasSubstr("alpha was shut down"));
  EXPECT_EQ(after.progress.percentage, 60);
  EXPECT_EQ(after.metrics->epochs.size(), 1u);
  EXPECT_THAT(after.warnings, ElementsAre("slow"));
  EXPECT_FALSE(after.worker_id || after.completed_at || after.error_message);
  EXPECT_EQ(store().waiting(10).value().at(0).restarts, 0);  // it may go on at once
  EXPECT_EQ(api::to_json(store().stopped(id, stopped, kTwice).value()), api::to_json(after));
  EXPECT_EQ(store().fail(id, claim(id), "boom", failing_at(3, 7)).value().status, OperationStatus::kFailed);
}

TEST_P(Restarts, EveryOneIsAnEventWithItsReason) {
  const OperationId id = create();
  ASSERT_THAT(store().fail(id, start(id), "out of memory", kTwice), IsOk());
  const Fence second = claim(id);
  ASSERT_THAT(store().stopped(id, stop(second, api::StopReason::kShutdown), kTwice), IsOk());
  claim(id);
  ASSERT_TRUE(store().end_orphan(pulse_of(id), "silent", kTwice).value());
  std::vector<std::string> told;
  for (const api::OperationEvent& event : store().events(id, {}).value().events) {
    if (event.kind != api::EventKind::kRestarted) continue;
    told.push_back(std::to_string(event.attempt) + " " + event.worker_id.value_or("-") + " " + event.message);
    EXPECT_EQ(event.status, OperationStatus::kRunning);
    EXPECT_EQ(event.checkpoint, (CheckpointRef{1, 1}));
  }
  EXPECT_THAT(told, ElementsAre("2 worker-1 out of memory",
                                "3 worker-2 Worker alpha was shut down and handed the operation back.",
                                "4 worker-3 silent"));
}

TEST_P(Restarts, WithNoneAllowedEverythingEndsAsItAlwaysDid) {
  const OperationId failed = create("op_1"), lost = create("op_2"), off = create("op_3");
  EXPECT_EQ(store().fail(failed, start(failed), "boom", {}).value().error_message, "boom");
  start(lost);
  ASSERT_TRUE(store().end_orphan(pulse_of(lost), "silent", {}).value());
  EXPECT_EQ(get(lost).error_message, "silent");
  EXPECT_EQ(store().stopped(off, stop(start(off), api::StopReason::kShutdown), {}).value().status,
            OperationStatus::kCancelled);
}

TEST_P(Restarts, ARestartOutlivesTheStore) {
  if (GetParam().name == "Memory") return;  // it keeps nothing
  const OperationId id = create();
  ASSERT_THAT(store().fail(id, start(id), "boom", failing_at(3, 7)), IsOk());
  const std::string before = everything(id);
  store_.reset();
  store_ = GetParam().make(folder_.path(), clock_);
  EXPECT_EQ(everything(id), before);
  EXPECT_EQ(store().fail(id, claim(id), "boom", failing_at(3, 7)).value().status, OperationStatus::kFailed);
}

}  // namespace ktrdr::storage::testing
