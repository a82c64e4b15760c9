// The part of the repository's contract about what clients ask: create, list, idempotency, If-Match, resume.
// Included by operations_repository_contract.h, which tells how to run it.
#pragma once

#include "ktrdr/storage/testing/contract_base.h"

namespace ktrdr::storage::testing {

// ---- create, get, list ----

TEST_P(OperationsRepositoryContract, ACreatedOperationIsPendingAndQueued) {
  const api::Operation created = store().create(new_operation("op_1"), std::nullopt).value().operation;
  EXPECT_EQ(created.status, OperationStatus::kPending);
  EXPECT_EQ(created.phase, Phase::kQueued);
  EXPECT_EQ(created.attempt, 1);
  EXPECT_EQ(created.version, 1);
  EXPECT_EQ(created.created_at, iso8601_utc(clock_.wall_ms()));
  EXPECT_FALSE(created.started_at || created.completed_at || created.worker_id || created.checkpoint);
  EXPECT_EQ(api::to_json(created), api::to_json(get({"op_1"})));
}

TEST_P(OperationsRepositoryContract, AnUnknownOperationIsNotFoundEverywhere) {
  const OperationId id{"op_unknown"};
  const Fence fence{1, {"worker-1"}};
  const auto F = FailsWith(ErrorCode::kNotFound);
  EXPECT_THAT(store().get(id), F);
  EXPECT_THAT(store().get(id), SaysError("not found"));
  EXPECT_THAT(store().job(id), F);
  EXPECT_THAT(resume(id), F);
  EXPECT_THAT(store().claim(id, fence, "alpha"), F);
  EXPECT_THAT(store().heartbeat(id, heartbeat(fence, {0})), F);
  EXPECT_THAT(store().commit_checkpoint(id, fence, checkpoint({1, 0}, std::nullopt)), F);
  EXPECT_THAT(store().rewind(id, fence, rewind_to({1, 1}, {1, 0})), F);
  EXPECT_THAT(store().complete(id, completion(fence)), F);
  EXPECT_THAT(store().fail(id, fence, "x"), F);
  EXPECT_THAT(store().stopped(id, stop(fence)), F);
  EXPECT_THAT(store().fail_unclaimed(id, 1, "x"), F);
  EXPECT_THAT(store().request_cancel(id, "x", {}), F);
  EXPECT_THAT(store().end_orphan({.id = id, .attempt = 1, .owner = WorkerId{"worker-1"}}, "x"), F);
  EXPECT_THAT(store().checkpoints(id), F);
  EXPECT_THAT(store().drop_checkpoints(id, {}), F);
  EXPECT_THAT(store().add_epochs(id, fence, {}), F);
  EXPECT_THAT(store().children(id), F);
  EXPECT_THAT(store().retry(id, {"op_again"}, {}, std::nullopt), F);
}

TEST_P(OperationsRepositoryContract, TextsOfAnyLengthAndScriptComeBackUnchanged) {
  NewOperation operation = new_operation("op_1");
  operation.request.strategy_yaml =
      "# Füße, 日本語, 🚂, '; DROP TABLE operations; --\n" + std::string(2'000'000, 'x');
  operation.request.seed = (1LL << 53) - 1;
  operation.metadata.parameters.text = R"({"note":"naïve \"quoted\" \\ text"})";
  ASSERT_THAT(store().create(operation, std::nullopt), IsOk());
  EXPECT_EQ(store().job({"op_1"}).value().request, operation.request);
  EXPECT_EQ(get({"op_1"}).metadata, operation.metadata);
  ASSERT_THAT(store().fail({"op_1"}, start({"op_1"}), "Плохо: 🚂 'quoted'"), IsOk());
  EXPECT_EQ(get({"op_1"}).error_message, "Плохо: 🚂 'quoted'");
}

TEST_P(OperationsRepositoryContract, ListsAreNewestFirstAndPaged) {
  for (const char* id : {"op_a", "op_b", "op_c", "op_d", "op_e"}) {
    create(id);
    if (std::string(id) != "op_b")
      clock_.advance(Duration(1000));  // b and c share their time: the id decides
  }
  const auto ids = [&](const ListQuery& query) {
    std::string text;
    const OperationPage page = value_of(store().list(query));
    for (const api::Operation& operation : page.operations) {
      text += operation.operation_id.back();
    }
    return text;
  };
  EXPECT_EQ(ids({}), "edcba");
  EXPECT_EQ(ids({.limit = 2}), "ed");
  EXPECT_EQ(ids({.limit = 2, .offset = 1}), "dc");
  EXPECT_EQ(ids({.limit = 9, .offset = 4}), "a");
  EXPECT_EQ(ids({.limit = 9, .offset = 50}), "");
  EXPECT_EQ(ids({.limit = 0}), "");
  EXPECT_EQ(ids({.limit = -1, .offset = -1}), "");
  EXPECT_EQ(store().list({.limit = 2, .offset = 1}).value().total_count, 5);
}

TEST_P(OperationsRepositoryContract, ListsAreFilteredByStatusTypeAndActivity) {
  NewOperation other = new_operation("op_other");
  other.operation_type = "backtest";
  ASSERT_THAT(store().create(other, std::nullopt), IsOk());
  create("op_pending");
  start(create("op_running"));
  failed("op_failed");
  const auto total = [&](const ListQuery& query) {
    const OperationPage page = store().list(query).value();
    EXPECT_EQ(page.active_count, 3);
    EXPECT_EQ(page.total_count, static_cast<std::int64_t>(page.operations.size()));
    return page.total_count;
  };
  EXPECT_EQ(total({}), 4);
  EXPECT_EQ(total({.active_only = true}), 3);
  EXPECT_EQ(total({.status = OperationStatus::kFailed}), 1);
  EXPECT_EQ(total({.status = OperationStatus::kFailed, .active_only = true}), 0);
  EXPECT_EQ(total({.operation_type = "training"}), 3);
  EXPECT_EQ(total({.status = OperationStatus::kPending, .operation_type = "backtest"}), 1);
  EXPECT_EQ(total({.operation_type = "backtest", .active_only = true}), 1);
  EXPECT_EQ(total({.operation_type = "nothing"}), 0);
}

TEST_P(OperationsRepositoryContract, AListShowsProgressAndCheckpoint) {
  start(create());
  ASSERT_THAT(store().heartbeat({"op_1"}, heartbeat({1, {"worker-1"}})), IsOk());
  const api::Operation shown = store().list({}).value().operations.at(0);
  EXPECT_EQ(shown.progress.percentage, 25);
  EXPECT_EQ(shown.checkpoint->ref, (CheckpointRef{1, 1}));
}

// ---- idempotency keys and If-Match [13] ----

TEST_P(OperationsRepositoryContract, ACreateSentTwiceUnderOneKeyCreatesOnce) {
  const IdempotencyKey key{"key-1", "hash-1"};
  const Created first = store().create(new_operation("op_1"), key).value();
  start({"op_1"});
  const Created second = store().create(new_operation("op_2"), key).value();  // the server drew a new id
  EXPECT_FALSE(first.replayed);
  EXPECT_TRUE(second.replayed);
  EXPECT_EQ(api::to_json(second.operation), api::to_json(first.operation));
  EXPECT_THAT(store().get({"op_2"}), FailsWith(ErrorCode::kNotFound));
}

TEST_P(OperationsRepositoryContract, TheAnswerToAKeyIsFoundBeforeAnythingIsDone) {
  const IdempotencyKey key{"key-1", "hash-1"};
  ASSERT_THAT(store().created_before(key), IsOk());
  EXPECT_FALSE(store().created_before(key)->has_value());
  ASSERT_THAT(store().create({.id = {"op_keyed"}, .request = {.strategy_yaml = "x"}}, key), IsOk());
  const auto before = store().created_before(key);
  ASSERT_THAT(before, IsOk());
  ASSERT_TRUE(before->has_value());
  EXPECT_EQ((*before)->operation_id, "op_keyed");
  EXPECT_THAT(store().created_before({"key-1", "another"}), FailsWith(ErrorCode::kConflict));
}

TEST_P(OperationsRepositoryContract, AKeyThatWasUsedForAnotherRequestIsAConflict) {
  ASSERT_THAT(store().create(new_operation("op_1"), IdempotencyKey{"key-1", "hash-1"}), IsOk());
  EXPECT_THAT(store().create(new_operation("op_2"), IdempotencyKey{"key-1", "hash-2"}),
              FailsWith(ErrorCode::kConflict));
  EXPECT_THAT(store().get({"op_2"}), FailsWith(ErrorCode::kNotFound));
  failed("op_3");
  EXPECT_THAT(resume({"op_3"}, {}, IdempotencyKey{"key-1", "hash-1"}), FailsWith(ErrorCode::kConflict));
  EXPECT_EQ(get({"op_3"}).status, OperationStatus::kFailed);
}

TEST_P(OperationsRepositoryContract, ALateCopyOfAResumeDoesNotResurrectWhatWasCancelledInBetween) {
  const OperationId id = failed();
  const IdempotencyKey key{"key-1", "hash-1"};
  const Resumed first = resume(id, {}, key).value();
  ASSERT_THAT(store().request_cancel(id, "never mind", {}), IsOk());
  const std::string before = everything(id);
  const Resumed copy = resume(id, {}, key).value();
  EXPECT_TRUE(copy.replayed);
  EXPECT_EQ(api::to_json(copy.operation), api::to_json(first.operation));
  EXPECT_EQ(copy.from, first.from);
  EXPECT_EQ(everything(id), before);
  EXPECT_EQ(get(id).status, OperationStatus::kCancelled);
}

TEST_P(OperationsRepositoryContract, AResumeKeyIsBoundToItsOperation) {
  failed("op_1");
  failed("op_2");
  ASSERT_THAT(resume({"op_1"}, {}, IdempotencyKey{"key-1", "hash-1"}), IsOk());
  EXPECT_THAT(resume({"op_2"}, {}, IdempotencyKey{"key-1", "hash-1"}), FailsWith(ErrorCode::kConflict));
}

TEST_P(OperationsRepositoryContract, ARefusedRequestDoesNotUseUpItsKey) {
  const OperationId id = create();
  const Fence fence = start(id);
  const IdempotencyKey key{"key-1", "hash-1"};
  EXPECT_THAT(resume(id, {}, key), FailsWith(ErrorCode::kConflict));
  ASSERT_THAT(store().fail(id, fence, "x"), IsOk());
  EXPECT_FALSE(resume(id, {}, key).value().replayed);
}

TEST_P(OperationsRepositoryContract, OldKeysAreForgottenAndYoungOnesKept) {
  ASSERT_THAT(store().create(new_operation("op_1"), IdempotencyKey{"old", "h"}), IsOk());
  clock_.advance(Duration(10'000));
  ASSERT_THAT(store().create(new_operation("op_2"), IdempotencyKey{"young", "h"}), IsOk());
  EXPECT_EQ(store().forget_idempotency_keys(clock_.wall_ms()).value(), 1);
  EXPECT_TRUE(store().create(new_operation("op_3"), IdempotencyKey{"young", "h"}).value().replayed);
  EXPECT_FALSE(store().create(new_operation("op_4"), IdempotencyKey{"old", "h"}).value().replayed);
}

TEST_P(OperationsRepositoryContract, AChangeOfAnotherVersionThanTheNamedOneIsRefused) {
  const OperationId id = failed();
  const std::int64_t version = get(id).version;
  const std::string before = everything(id);
  EXPECT_THAT(resume(id, {version - 1}), FailsWith(ErrorCode::kPreconditionFailed));
  EXPECT_EQ(everything(id), before);
  ASSERT_THAT(resume(id, {version}), IsOk());
  EXPECT_THAT(store().request_cancel(id, "x", {version}), FailsWith(ErrorCode::kPreconditionFailed));
  EXPECT_EQ(get(id).status, OperationStatus::kRunning);
  EXPECT_THAT(store().request_cancel(id, "x", {version + 1}), IsOk());
}

TEST_P(OperationsRepositoryContract, TheVersionCountsChangesOfStateAndNothingElse) {
  const OperationId id = create();
  const Fence fence{1, {"worker-1"}};
  const auto version = [&] { return get(id).version; };
  ASSERT_THAT(store().claim(id, fence, "alpha"), IsOk());
  EXPECT_EQ(version(), 2);
  commit(id, fence, checkpoint({1, 0}, std::nullopt));
  commit(id, fence, checkpoint({1, 1}, CheckpointRef{1, 0}, 0));
  EXPECT_EQ(store().heartbeat(id, heartbeat(fence, {0})).value().version, 2);
  EXPECT_EQ(store().rewind(id, fence, rewind_to({1, 1}, {1, 0})).value().version, 2);
  EXPECT_EQ(version(), 2);
  EXPECT_EQ(store().request_cancel(id, "x", {}).value().version, 3);
  EXPECT_EQ(store().stopped(id, stop(fence)).value().version, 4);
  EXPECT_EQ(resume(id).value().operation.version, 5);
  EXPECT_EQ(store().fail_unclaimed(id, 2, "x").value().version, 6);
}

// ---- try_resume [1] ----

TEST_P(OperationsRepositoryContract, AResumeStartsTheNextAttemptUnclaimed) {
  const OperationId id = create();
  const Fence fence = start(id);
  ASSERT_THAT(store().request_cancel(id, "not needed", {}), IsOk());
  ASSERT_THAT(store().stopped(id, stop(fence)), IsOk());
  clock_.advance(Duration(60'000));
  const Resumed resumed = resume(id).value();
  EXPECT_EQ(resumed.from.ref, (CheckpointRef{1, 1}));
  const api::Operation& operation = resumed.operation;
  EXPECT_EQ(operation.status, OperationStatus::kRunning);
  EXPECT_EQ(operation.phase, Phase::kQueued);
  EXPECT_EQ(operation.attempt, 2);
  EXPECT_EQ(operation.started_at, iso8601_utc(clock_.wall_ms()));
  EXPECT_FALSE(operation.completed_at || operation.error_message || operation.worker_id ||
               operation.worker_name || operation.last_heartbeat_at || operation.cancel_requested);
  EXPECT_EQ(api::to_json(operation), api::to_json(get(id)));
}

TEST_P(OperationsRepositoryContract, AResumedOperationsPulseStartsAnew) {
  const OperationId id = create();
  const Fence fence = start(id);
  ASSERT_THAT(store().heartbeat(id, heartbeat(fence)), IsOk());
  ASSERT_THAT(store().fail(id, fence, "x"), IsOk());
  ASSERT_THAT(resume(id), IsOk());
  clock_.advance(Duration(1000));
  ASSERT_THAT(store().claim(id, {2, {"worker-2"}}, ""), IsOk());
  EXPECT_EQ(pulse_of(id).heartbeat_sequence, 0);
  EXPECT_EQ(pulse_of(id).last_heartbeat_at, iso8601_utc(clock_.wall_ms()));  // the claim is a sign of life
}

TEST_P(OperationsRepositoryContract, ARefusedResumeSaysWhy) {
  EXPECT_THAT(resume(create("op_pending")), SaysError("cannot resume"));
  start(create("op_running"));
  EXPECT_THAT(resume({"op_running"}), SaysError("already running"));
  const OperationId done = create("op_done");
  ASSERT_THAT(store().complete(done, completion(start(done))), IsOk());
  EXPECT_THAT(resume(done), SaysError("already completed"));
  create("op_withdrawn");
  ASSERT_THAT(store().request_cancel({"op_withdrawn"}, "x", {}), IsOk());
  EXPECT_THAT(resume({"op_withdrawn"}), SaysError("checkpoint"));
  EXPECT_THAT(resume({"op_withdrawn"}), SaysError("retry"));
}

TEST_P(OperationsRepositoryContract, AResumeSetsWhetherChangesAreAllowed) {
  const OperationId id = failed();
  EXPECT_FALSE(store().job(id).value().request.allow_changes);
  ASSERT_THAT(store().try_resume(id, true, {}, std::nullopt), IsOk());
  EXPECT_TRUE(store().job(id).value().request.allow_changes);
  ASSERT_THAT(store().fail_unclaimed(id, 2, "x"), IsOk());
  ASSERT_THAT(resume(id), IsOk());
  EXPECT_FALSE(store().job(id).value().request.allow_changes);
}

}  // namespace ktrdr::storage::testing
