// The part of the repository's contract about what workers ask: claim, fences, heartbeat, checkpoints.
// Included by operations_repository_contract.h, which tells how to run it.
#pragma once

#include "ktrdr/storage/testing/contract_base.h"

namespace ktrdr::storage::testing {

// ---- claim [2] ----

TEST_P(OperationsRepositoryContract, AClaimStartsAPendingOperation) {
  const OperationId id = create();
  clock_.advance(Duration(5000));
  const Claimed claimed = store().claim(id, {1, {"worker-1"}}, "alpha").value();
  EXPECT_EQ(claimed.operation.status, OperationStatus::kRunning);
  EXPECT_EQ(claimed.operation.worker_id, "worker-1");
  EXPECT_EQ(claimed.operation.worker_name, "alpha");
  EXPECT_EQ(claimed.operation.started_at, iso8601_utc(clock_.wall_ms()));
  EXPECT_EQ(claimed.current_checkpoint, std::nullopt);
  EXPECT_EQ(claimed.next_sequence, 0);
  EXPECT_TRUE(store().job(id).value().claimed);
}

TEST_P(OperationsRepositoryContract, AClaimAfterAResumeRewindsTheHistoryToTheCheckpoint) {
  const OperationId id = create();
  const Fence fence = start(id);  // the checkpoint's last completed epoch is 0
  ASSERT_THAT(store().heartbeat(id, heartbeat(fence, {0, 1, 2})), IsOk());
  ASSERT_THAT(store().fail(id, fence, "x"), IsOk());
  ASSERT_THAT(resume(id), IsOk());
  EXPECT_EQ(get(id).metrics->epochs.size(), 3u);  // history shows what was reached until a worker goes on
  const Claimed claimed = store().claim(id, {2, {"worker-2"}}, "beta").value();
  ASSERT_EQ(claimed.operation.metrics->epochs.size(), 1u);
  EXPECT_EQ(claimed.operation.metrics->epochs[0].epoch, 0);
  EXPECT_EQ(claimed.current_checkpoint, (CheckpointRef{1, 1}));
  EXPECT_EQ(claimed.next_sequence, 2);
}

TEST_P(OperationsRepositoryContract, ACheckpointBeforeTheFirstEpochRewindsTheWholeHistory) {
  const OperationId id = create();
  const Fence fence{1, {"worker-1"}};
  ASSERT_THAT(store().claim(id, fence, "alpha"), IsOk());
  commit(id, fence, checkpoint({1, 0}, std::nullopt));
  ASSERT_THAT(store().heartbeat(id, heartbeat(fence, {0})), IsOk());
  ASSERT_THAT(store().fail(id, fence, "x"), IsOk());
  ASSERT_THAT(resume(id), IsOk());
  EXPECT_FALSE(store().claim(id, {2, {"worker-2"}}, "").value().operation.metrics.has_value());
}

TEST_P(OperationsRepositoryContract, TheSameClaimAgainGetsTheSameAnswerAndChangesNothing) {
  const OperationId id = create();
  const Fence fence{1, {"worker-1"}};
  const Claimed first = store().claim(id, fence, "alpha").value();
  clock_.advance(Duration(1000));
  ASSERT_THAT(store().heartbeat(id, heartbeat(fence, {0})), IsOk());  // its history must survive the repeat
  const std::string before = everything(id);
  const Claimed second = store().claim(id, fence, "alpha").value();
  EXPECT_EQ(second.operation.version, first.operation.version);
  EXPECT_EQ(second.next_sequence, first.next_sequence);
  EXPECT_EQ(everything(id), before);
}

TEST_P(OperationsRepositoryContract, ACancelledOperationCanNotBeClaimedWhicheverCameFirst) {
  const OperationId first = create("op_1");
  ASSERT_THAT(store().request_cancel(first, "x", {}), IsOk());
  EXPECT_THAT(store().claim(first, {1, {"worker-1"}}, ""), FailsWith(ErrorCode::kConflict));
  EXPECT_EQ(get(first).status, OperationStatus::kCancelled);
  const OperationId second = create("op_2");
  ASSERT_THAT(store().claim(second, {1, {"worker-1"}}, ""), IsOk());
  EXPECT_EQ(store().request_cancel(second, "x", {}).value().status, OperationStatus::kRunning);
  EXPECT_TRUE(store().heartbeat(second, heartbeat({1, {"worker-1"}})).value().cancel_requested);
}

// ---- fences [3] ----

TEST_P(OperationsRepositoryContract, AZombieOfAFormerAttemptIsRefusedEverywhere) {
  const OperationId id = create();
  const Fence zombie = start(id);
  ASSERT_TRUE(store().end_orphan(pulse_of(id), "silent").value());
  ASSERT_THAT(resume(id), IsOk());
  const auto expect_refused = [&] {
    const std::string before = everything(id);
    const auto S = FailsWith(ErrorCode::kStale);
    EXPECT_THAT(store().claim(id, zombie, "alpha"), S);
    EXPECT_THAT(store().heartbeat(id, heartbeat(zombie, {7})), S);
    EXPECT_THAT(store().commit_checkpoint(id, zombie, checkpoint({1, 2}, CheckpointRef{1, 1}, 1)), S);
    EXPECT_THAT(store().commit_checkpoint(id, zombie, checkpoint({1, 1}, CheckpointRef{1, 0}, 0)), S);
    EXPECT_THAT(store().rewind(id, zombie, rewind_to({1, 1}, {1, 0})), S);
    EXPECT_THAT(store().complete(id, completion(zombie)), S);
    EXPECT_THAT(store().fail(id, zombie, "x"), S);
    EXPECT_THAT(store().stopped(id, stop(zombie)), S);
    EXPECT_EQ(everything(id), before);
  };
  expect_refused();  // attempt 2 waits
  ASSERT_THAT(store().claim(id, {2, {"worker-2"}}, "beta"), IsOk());
  expect_refused();  // attempt 2 trains
  ASSERT_THAT(store().fail(id, {2, {"worker-2"}}, "x"), IsOk());
  expect_refused();  // attempt 2 ended the same way
}

TEST_P(OperationsRepositoryContract, ARepeatIsNotRecognisedWhenAnotherAttemptHasBegun) {
  const OperationId id = failed();
  ASSERT_THAT(resume(id), IsOk());
  EXPECT_THAT(store().fail(id, {1, {"worker-1"}}, "out of memory"), FailsWith(ErrorCode::kStale));
  ASSERT_THAT(store().claim(id, {2, {"worker-1"}}, ""), IsOk());
  ASSERT_THAT(store().fail(id, {2, {"worker-1"}}, "out of memory"), IsOk());
  EXPECT_THAT(store().fail(id, {1, {"worker-1"}}, "out of memory"), FailsWith(ErrorCode::kStale));
}

// ---- heartbeat ----

TEST_P(OperationsRepositoryContract, AHeartbeatMovesThePulseAndStoresProgress) {
  const OperationId id = create();
  const Fence fence = start(id);
  clock_.advance(Duration(2000));
  api::HeartbeatRequest beat = heartbeat(fence, {0, 1});
  beat.phase = Phase::kValidating;
  ASSERT_THAT(store().heartbeat(id, beat), IsOk());
  EXPECT_EQ(pulse_of(id).heartbeat_sequence, 1);
  EXPECT_EQ(pulse_of(id).owner_name, "alpha");
  EXPECT_EQ(pulse_of(id).last_heartbeat_at, iso8601_utc(clock_.wall_ms()));
  EXPECT_EQ(pulse_of(id).current_checkpoint, (CheckpointRef{1, 1}));
  const api::Operation operation = get(id);
  EXPECT_EQ(operation.phase, Phase::kValidating);
  EXPECT_EQ(operation.progress, beat.progress);
  EXPECT_EQ(operation.metrics->epochs, beat.epochs);
}

TEST_P(OperationsRepositoryContract, AnEpochThatIsReportedAgainIsReplacedAndAWarningIsKeptOnce) {
  const OperationId id = create();
  const Fence fence = start(id);
  api::HeartbeatRequest beat = heartbeat(fence, {1, 0});
  beat.warnings = {"slow disk", "slow disk", "few samples"};
  ASSERT_THAT(store().heartbeat(id, beat), IsOk());
  beat.epochs[1].train_loss = 0.125;
  beat.warnings = {"few samples", "new"};
  ASSERT_THAT(store().heartbeat(id, beat), IsOk());
  EXPECT_THAT(get(id).warnings, ElementsAre("slow disk", "few samples", "new"));
  ASSERT_EQ(get(id).metrics->epochs.size(), 2u);
  EXPECT_EQ(get(id).metrics->epochs[0].epoch, 0);
  EXPECT_EQ(get(id).metrics->epochs[0].train_loss, 0.125);
}

TEST_P(OperationsRepositoryContract, NumbersThatAreNotFiniteNeverMakeARowUnreadable) {
  const OperationId id = create();
  const Fence fence = start(id);
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  api::HeartbeatRequest beat = heartbeat(fence, {0});
  beat.progress.percentage = kNan;
  beat.progress.context.train_loss = kNan;
  beat.epochs[0].train_loss = kNan;
  beat.epochs[0].learning_rate = std::numeric_limits<double>::infinity();
  ASSERT_THAT(store().heartbeat(id, beat), IsOk());
  const api::Operation operation = get(id);
  EXPECT_EQ(operation.progress.percentage, 0);
  EXPECT_FALSE(operation.progress.context.train_loss || operation.metrics->epochs.at(0).train_loss);
  EXPECT_EQ(operation.metrics->epochs[0].learning_rate, 0);
}

// ---- checkpoints [4][9][10] ----

TEST_P(OperationsRepositoryContract, ACommitMovesThePointerAndStampsTheServersTime) {
  const OperationId id = create();
  const Fence fence = start(id);
  clock_.advance(Duration(5000));
  api::CheckpointInfo info = checkpoint({1, 7}, CheckpointRef{1, 1}, 3);  // numbers may skip
  info.created_at.clear();
  commit(id, fence, info);
  info.created_at = iso8601_utc(clock_.wall_ms());
  EXPECT_EQ(get(id).checkpoint, info);
  EXPECT_EQ(store().job(id).value().checkpoints.at(0), info);
}

// The server knows how long ago it was taken, when it had to wait for us.
TEST_P(OperationsRepositoryContract, ACommitKeepsTheMomentThatTheServerGivesIt) {
  const OperationId id = create();
  const Fence fence = start(id);
  api::CheckpointInfo info = checkpoint({1, 7}, CheckpointRef{1, 1}, 3);
  info.created_at = "2001-01-01T00:00:00.000Z";
  commit(id, fence, info);
  EXPECT_EQ(get(id).checkpoint, info);
}

TEST_P(OperationsRepositoryContract, OnlyTheNewestTwoCheckpointsStay) {
  const OperationId id = create();
  const Fence fence = start(id);  // 1-0 and 1-1
  const Committed committed =
      store().commit_checkpoint(id, fence, checkpoint({1, 2}, CheckpointRef{1, 1}, 1)).value();
  EXPECT_THAT(committed.dropped, ElementsAre(CheckpointRef{1, 0}));
  const auto kept = store().checkpoints(id).value();
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0].ref, (CheckpointRef{1, 2}));
  EXPECT_EQ(kept[1].ref, (CheckpointRef{1, 1}));
}

TEST_P(OperationsRepositoryContract, ACommitMustNameTheCurrentCheckpointAsItsParent) {
  const OperationId id = create();
  const Fence fence{1, {"worker-1"}};
  ASSERT_THAT(store().claim(id, fence, ""), IsOk());
  const auto C = FailsWith(ErrorCode::kConflict);
  EXPECT_THAT(store().commit_checkpoint(id, fence, checkpoint({1, 1}, CheckpointRef{1, 0})), C);
  commit(id, fence, checkpoint({1, 3}, std::nullopt));
  const std::string before = everything(id);
  EXPECT_THAT(store().commit_checkpoint(id, fence, checkpoint({1, 4}, std::nullopt)), C);
  EXPECT_THAT(store().commit_checkpoint(id, fence, checkpoint({1, 4}, CheckpointRef{2, 3})), C);
  EXPECT_THAT(store().commit_checkpoint(id, fence, checkpoint({1, 2}, CheckpointRef{1, 3})), C);
  api::CheckpointInfo other = checkpoint({1, 3}, std::nullopt);
  other.manifest_digest = "another";
  EXPECT_THAT(store().commit_checkpoint(id, fence, other), C);  // the same name, other content
  EXPECT_THAT(store().commit_checkpoint(id, fence, checkpoint({2, 4}, CheckpointRef{1, 3})),
              FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_EQ(everything(id), before);
}

TEST_P(OperationsRepositoryContract, TheSameCommitAgainGetsTheSameAnswer) {
  const OperationId id = create();
  const Fence fence = start(id);
  const api::CheckpointInfo info = checkpoint({1, 2}, CheckpointRef{1, 1}, 1);
  const Committed first = store().commit_checkpoint(id, fence, info).value();
  clock_.advance(Duration(1000));
  const std::string before = everything(id);
  const Committed second = store().commit_checkpoint(id, fence, info).value();
  EXPECT_EQ(second.dropped, first.dropped);
  EXPECT_EQ(second.version, first.version);
  EXPECT_EQ(everything(id), before);
}

TEST_P(OperationsRepositoryContract, ALateCopyOfAnOlderCommitIsRefused) {
  const OperationId id = create();
  const Fence fence = start(id);
  EXPECT_THAT(store().commit_checkpoint(id, fence, checkpoint({1, 0}, std::nullopt)),
              FailsWith(ErrorCode::kConflict));
  EXPECT_EQ(get(id).checkpoint->ref, (CheckpointRef{1, 1}));
}

TEST_P(OperationsRepositoryContract, ARewindGoesBackDropsTheBadOneAndRewindsTheHistory) {
  const OperationId id = create();
  const Fence fence = start(id);
  ASSERT_THAT(store().heartbeat(id, heartbeat(fence, {0, 1, 2})), IsOk());
  commit(id, fence, checkpoint({1, 2}, CheckpointRef{1, 1}, 2));
  const Committed rewound = store().rewind(id, fence, rewind_to({1, 2}, {1, 1})).value();
  EXPECT_THAT(rewound.dropped, ElementsAre(CheckpointRef{1, 2}));
  EXPECT_EQ(get(id).checkpoint->ref, (CheckpointRef{1, 1}));
  EXPECT_EQ(store().checkpoints(id).value().size(), 1u);
  EXPECT_EQ(get(id).metrics->epochs.size(), 1u);
  ASSERT_EQ(get(id).warnings.size(), 1u);
  EXPECT_THAT(get(id).warnings[0], HasSubstr("1-2"));
  EXPECT_THAT(get(id).warnings[0], HasSubstr("is damaged"));
}

TEST_P(OperationsRepositoryContract, TheSameRewindAgainGetsTheSameAnswer) {
  const OperationId id = create();
  const Fence fence = start(id);
  const Committed first = store().rewind(id, fence, rewind_to({1, 1}, {1, 0})).value();
  const std::string before = everything(id);
  EXPECT_EQ(store().rewind(id, fence, rewind_to({1, 1}, {1, 0})).value().dropped, first.dropped);
  EXPECT_EQ(everything(id), before);
  // One that was never applied is no repeat, although the pointer stands where it wants it.
  EXPECT_THAT(store().rewind(id, fence, rewind_to({1, 9}, {1, 0})), FailsWith(ErrorCode::kConflict));
  commit(id, fence, checkpoint({1, 2}, CheckpointRef{1, 0}, 0));
  EXPECT_THAT(store().rewind(id, fence, rewind_to({1, 1}, {1, 0})), FailsWith(ErrorCode::kConflict));
}

TEST_P(OperationsRepositoryContract, ARewindNeedsAPredecessor) {
  const OperationId id = create();
  const Fence fence = start(id);
  ASSERT_THAT(store().rewind(id, fence, rewind_to({1, 1}, {1, 0})), IsOk());
  EXPECT_THAT(store().rewind(id, fence, rewind_to({1, 0}, {1, 0})), FailsWith(ErrorCode::kConflict));
  EXPECT_EQ(get(id).checkpoint->ref, (CheckpointRef{1, 0}));
}

TEST_P(OperationsRepositoryContract, ALateCopyOfARewoundCommitIsRefusedAlthoughItsParentIsCurrentAgain) {
  const OperationId id = create();
  const Fence fence = start(id);
  ASSERT_THAT(store().rewind(id, fence, rewind_to({1, 1}, {1, 0})), IsOk());
  EXPECT_THAT(store().commit_checkpoint(id, fence, checkpoint({1, 1}, CheckpointRef{1, 0}, 0)),
              FailsWith(ErrorCode::kConflict));
  EXPECT_EQ(get(id).checkpoint->ref, (CheckpointRef{1, 0}));
  EXPECT_EQ(store().claim(id, fence, "").value().next_sequence, 2);
  commit(id, fence, checkpoint({1, 2}, CheckpointRef{1, 0}, 0));
}

TEST_P(OperationsRepositoryContract, TheNextAttemptContinuesFromTheLastOne) {
  const OperationId id = failed();
  ASSERT_THAT(resume(id), IsOk());
  const Fence fence{2, {"worker-2"}};
  ASSERT_THAT(store().claim(id, fence, ""), IsOk());
  EXPECT_THAT(store().commit_checkpoint(id, fence, checkpoint({2, 1}, CheckpointRef{1, 1}, 1)),
              FailsWith(ErrorCode::kConflict));  // sequence numbers grow through all attempts
  commit(id, fence, checkpoint({2, 2}, CheckpointRef{1, 1}, 1));
  EXPECT_THAT(store().checkpoints(id).value().at(1).ref, (CheckpointRef{1, 1}));
}

TEST_P(OperationsRepositoryContract, DroppedCheckpointsAreNamedAndTheOperationCanNoLongerBeResumed) {
  const OperationId id = failed();
  EXPECT_THAT(store().drop_checkpoints(id, {}).value().dropped,
              ElementsAre(CheckpointRef{1, 0}, CheckpointRef{1, 1}));
  EXPECT_FALSE(get(id).checkpoint.has_value());
  EXPECT_THAT(store().checkpoints(id).value(), IsEmpty());
  EXPECT_THAT(resume(id), FailsWith(ErrorCode::kCheckpointNotFound));
  EXPECT_EQ(get(id).status, OperationStatus::kFailed);
}

}  // namespace ktrdr::storage::testing
