// The part of the repository's contract about how operations end.
// Included by operations_repository_contract.h, which tells how to run it.
#pragma once

#include "ktrdr/storage/testing/contract_base.h"

namespace ktrdr::storage::testing {

// ---- endings [7][8][12] ----

TEST_P(OperationsRepositoryContract, CompletePublishesTheModelAndClearsTheCheckpoints) {
  const OperationId id = create();
  const Fence fence = start(id);
  clock_.advance(Duration(1000));
  api::CompleteRequest request = completion(fence);
  request.epochs = heartbeat(fence, {0, 1}).epochs;
  const Completed completed = store().complete(id, request).value();
  EXPECT_THAT(completed.dropped, ElementsAre(CheckpointRef{1, 0}, CheckpointRef{1, 1}));
  EXPECT_EQ(completed.operation.status, OperationStatus::kCompleted);
  EXPECT_EQ(completed.operation.phase, Phase::kNone);
  EXPECT_EQ(completed.operation.progress.percentage, 100);
  EXPECT_EQ(completed.operation.result_summary, request.result);
  EXPECT_EQ(completed.operation.completed_at, iso8601_utc(clock_.wall_ms()));
  EXPECT_EQ(completed.operation.metrics->epochs, request.epochs);
  EXPECT_FALSE(completed.operation.checkpoint || completed.operation.error_message);
  EXPECT_THAT(store().checkpoints(id).value(), IsEmpty());
}

TEST_P(OperationsRepositoryContract, TheSameEndReportedAgainGetsTheSameAnswerAndChangesNothing) {
  const OperationId done = create("op_1");
  const Completed completed = store().complete(done, completion(start(done))).value();
  const OperationId bad = create("op_2");
  const api::Operation failure = store().fail(bad, start(bad), "out of memory").value();
  const OperationId off = create("op_3");
  const api::Operation stopped = store().stopped(off, stop(start(off), api::StopReason::kShutdown)).value();
  const OperationId lost = failed("op_4");
  ASSERT_THAT(resume(lost), IsOk());
  const api::Operation unclaimed = store().fail_unclaimed(lost, 2, "no good checkpoint").value();
  clock_.advance(Duration(1000));
  const Fence fence{1, {"worker-1"}};
  EXPECT_EQ(store().complete(done, completion(fence)).value().dropped, completed.dropped);
  EXPECT_EQ(api::to_json(store().complete(done, completion(fence)).value().operation),
            api::to_json(completed.operation));
  EXPECT_EQ(api::to_json(store().fail(bad, fence, "out of memory").value()), api::to_json(failure));
  EXPECT_EQ(api::to_json(store().stopped(off, stop(fence, api::StopReason::kShutdown)).value()),
            api::to_json(stopped));
  EXPECT_EQ(api::to_json(store().fail_unclaimed(lost, 2, "no good checkpoint").value()),
            api::to_json(unclaimed));
}

TEST_P(OperationsRepositoryContract, ACompleteThatArrivesBeforeTheCancelWasActedOnWins) {
  const OperationId id = create();
  const Fence fence = start(id);
  ASSERT_THAT(store().request_cancel(id, "x", {}), IsOk());
  EXPECT_EQ(store().complete(id, completion(fence)).value().operation.status, OperationStatus::kCompleted);
  EXPECT_THAT(store().request_cancel(id, "x", {}), FailsWith(ErrorCode::kConflict));
  EXPECT_THAT(store().stopped(id, stop(fence)), FailsWith(ErrorCode::kStale));
}

TEST_P(OperationsRepositoryContract, AnActedOnCancelWinsOverALateComplete) {
  const OperationId id = create();
  const Fence fence = start(id);
  ASSERT_THAT(store().request_cancel(id, "x", {}), IsOk());
  ASSERT_THAT(store().stopped(id, stop(fence)), IsOk());
  EXPECT_THAT(store().complete(id, completion(fence)), FailsWith(ErrorCode::kStale));
  EXPECT_EQ(get(id).status, OperationStatus::kCancelled);
}

TEST_P(OperationsRepositoryContract, ACancelOfARunningOperationIsARequestThatHeartbeatsCarry) {
  const OperationId id = create();
  const Fence fence = start(id);
  EXPECT_FALSE(store().heartbeat(id, heartbeat(fence)).value().cancel_requested);
  const api::Operation asked = store().request_cancel(id, "wrong data", {}).value();
  EXPECT_EQ(asked.status, OperationStatus::kRunning);
  EXPECT_EQ(asked.phase, Phase::kCancelling);
  EXPECT_TRUE(asked.cancel_requested);
  const api::Operation again = store().request_cancel(id, "another reason", {}).value();
  EXPECT_EQ(again.version, asked.version);
  EXPECT_TRUE(store().heartbeat(id, heartbeat(fence)).value().cancel_requested);
  EXPECT_EQ(get(id).phase, Phase::kCancelling);
  api::StoppedRequest stopped = stop(fence);
  stopped.warning = "The last save failed; checkpoint 1-1 is there.";
  stopped.epochs = heartbeat(fence, {0}).epochs;
  const api::Operation ended = store().stopped(id, stopped).value();
  EXPECT_EQ(ended.status, OperationStatus::kCancelled);
  EXPECT_EQ(ended.error_message, "wrong data");
  EXPECT_THAT(ended.warnings, ElementsAre(*stopped.warning));
  EXPECT_EQ(ended.metrics->epochs.size(), 1u);
  EXPECT_EQ(ended.checkpoint->ref, (CheckpointRef{1, 1}));
}

TEST_P(OperationsRepositoryContract, ACancelOfAnUnclaimedOperationTakesEffectAtOnce) {
  const api::Operation pending = store().request_cancel(create("op_1"), "x", {}).value();
  EXPECT_EQ(pending.status, OperationStatus::kCancelled);
  EXPECT_EQ(pending.error_message, "x");
  EXPECT_TRUE(pending.completed_at.has_value());
  ASSERT_THAT(resume(failed("op_2")), IsOk());
  EXPECT_EQ(store().request_cancel({"op_2"}, "", {}).value().status, OperationStatus::kCancelled);
  EXPECT_THAT(store().waiting(10).value(), IsEmpty());
  EXPECT_THAT(resume({"op_2"}), IsOk());  // its checkpoint is still there
}

TEST_P(OperationsRepositoryContract, AShutdownSaysThatTheOperationCanBeResumed) {
  const OperationId id = create();
  const api::Operation ended = store().stopped(id, stop(start(id), api::StopReason::kShutdown)).value();
  EXPECT_EQ(ended.status, OperationStatus::kCancelled);
  EXPECT_THAT(ended.error_message.value(), HasSubstr("resume"));
}

TEST_P(OperationsRepositoryContract, AWorkerThatGaveASignOfLifeIsNotAnOrphan) {
  const OperationId id = create();
  const Fence fence = start(id);
  const Pulse watched = pulse_of(id);
  ASSERT_THAT(store().heartbeat(id, heartbeat(fence)), IsOk());
  const std::string before = everything(id);
  EXPECT_FALSE(store().end_orphan(watched, "silent").value());
  Pulse other = pulse_of(id);
  other.owner = WorkerId{"worker-9"};
  EXPECT_FALSE(store().end_orphan(other, "silent").value());
  other.owner = std::nullopt;
  EXPECT_FALSE(store().end_orphan(other, "silent").value());
  EXPECT_EQ(everything(id), before);
  EXPECT_TRUE(store().end_orphan(pulse_of(id), "silent").value());
  EXPECT_EQ(get(id).status, OperationStatus::kFailed);
  EXPECT_EQ(get(id).error_message, "silent");
  EXPECT_THAT(store().pulses().value(), IsEmpty());
}

TEST_P(OperationsRepositoryContract, AnOrphanWhoseCancelWasRequestedEndsAsCancelledWithAWarning) {
  const OperationId id = create();
  start(id);
  ASSERT_THAT(store().request_cancel(id, "not needed", {}), IsOk());
  ASSERT_TRUE(store().end_orphan(pulse_of(id), "silent").value());
  const api::Operation ended = get(id);
  EXPECT_EQ(ended.status, OperationStatus::kCancelled);
  EXPECT_EQ(ended.error_message, "not needed");
  ASSERT_EQ(ended.warnings.size(), 1u);
  EXPECT_THAT(ended.warnings[0], HasSubstr("alpha was lost"));
  EXPECT_THAT(ended.warnings[0], HasSubstr("1-1"));
}

TEST_P(OperationsRepositoryContract, WhatWaitsIsListedOldestFirst) {
  failed("op_resumed");
  clock_.advance(Duration(1000));
  start(create("op_running"));
  create("op_pending");
  ASSERT_THAT(resume({"op_resumed"}), IsOk());
  const std::vector<Waiting> waiting = store().waiting(10).value();
  ASSERT_EQ(waiting.size(), 2u);
  EXPECT_EQ(waiting[0].id.value, "op_resumed");
  EXPECT_EQ(waiting[0].attempt, 2);
  EXPECT_TRUE(waiting[0].is_resume);
  EXPECT_EQ(waiting[1].id.value, "op_pending");
  EXPECT_FALSE(waiting[1].is_resume);
  EXPECT_EQ(store().waiting(1).value().size(), 1u);
  EXPECT_THAT(store().waiting(0).value(), IsEmpty());
}

}  // namespace ktrdr::storage::testing
