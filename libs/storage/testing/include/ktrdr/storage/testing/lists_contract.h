// The part of the repository's contract about pages: keyset lists of operations and checkpoints, children and
// retries. Included by operations_repository_contract.h, which tells how to run it.
#pragma once

#include "ktrdr/storage/testing/contract_base.h"

namespace ktrdr::storage::testing {

class RepositoryLists : public OperationsRepositoryContract {
 protected:
  // All ids, read page by page.
  std::vector<std::string> walk(ListQuery query) {
    std::vector<std::string> ids;
    do {
      const OperationPage page = value_of(store().list(query));
      EXPECT_LE(static_cast<std::int64_t>(page.operations.size()), query.limit);
      for (const api::Operation& operation : page.operations) ids.push_back(operation.operation_id);
      query.after = page.next;
    } while (query.after);
    return ids;
  }

  std::vector<std::string> walk(CheckpointQuery query) {
    std::vector<std::string> ids;
    do {
      const CheckpointPage page = value_of(store().list_checkpoints(query));
      for (const OperationCheckpoint& current : page.checkpoints) ids.push_back(current.operation.value);
      query.after = page.next;
    } while (query.after);
    return ids;
  }
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RepositoryLists);

// ---- keyset pages ----

TEST_P(RepositoryLists, PagesTogetherAreTheWholeListInOrder) {
  for (const char* id : {"op_a", "op_b", "op_c", "op_d", "op_e"}) {
    create(id);
    if (std::string(id) != "op_b") clock_.advance(Duration(1));  // b and c share their time
  }
  for (const std::int64_t limit : {1, 2, 3, 4, 5, 100}) {
    EXPECT_THAT(walk(ListQuery{.limit = limit}), ElementsAre("op_e", "op_d", "op_c", "op_b", "op_a"))
        << limit;
  }
  EXPECT_EQ(value_of(store().list({.limit = 5})).next, std::nullopt);
  EXPECT_EQ(value_of(store().list({.limit = 2})).total_count, 5);
}

TEST_P(RepositoryLists, APageIsNotShiftedByWhatWasCreatedMeanwhile) {
  for (const char* id : {"op_a", "op_b", "op_c"}) {
    create(id);
    clock_.advance(Duration(1));
  }
  const OperationPage first = value_of(store().list({.limit = 2}));
  create("op_new");
  EXPECT_THAT(walk(ListQuery{.after = first.next, .limit = 2}), ElementsAre("op_a"));
}

TEST_P(RepositoryLists, PagesKeepTheirFilter) {
  for (const char* id : {"op_a", "op_b", "op_c", "op_d"}) {
    create(id);
    clock_.advance(Duration(1));
  }
  ASSERT_THAT(store().request_cancel({"op_c"}, "", {}), IsOk());
  ASSERT_THAT(store().claim({"op_b"}, {1, {"worker-7"}}, "seven"), IsOk());
  EXPECT_THAT(walk(ListQuery{.status = OperationStatus::kPending, .limit = 1}), ElementsAre("op_d", "op_a"));
  EXPECT_THAT(walk(ListQuery{.active_only = true, .limit = 1}), ElementsAre("op_d", "op_b", "op_a"));
  EXPECT_THAT(walk(ListQuery{.worker = WorkerId{"worker-7"}, .limit = 1}), ElementsAre("op_b"));
  EXPECT_EQ(value_of(store().list({.worker = WorkerId{"worker-7"}})).total_count, 1);
  EXPECT_EQ(value_of(store().list({.worker = WorkerId{"nobody"}})).total_count, 0);
  EXPECT_THAT(walk(ListQuery{.operation_type = "backtesting", .limit = 1}), IsEmpty());
}

TEST_P(RepositoryLists, APlaceThatNoRowHasIsStillAPlace) {
  create("op_a");
  const std::string now = iso8601_utc(clock_.wall_ms());
  EXPECT_THAT(walk(ListQuery{.after = PageKey{now, "op_b"}}), ElementsAre("op_a"));
  EXPECT_THAT(walk(ListQuery{.after = PageKey{now, "op_a"}}), IsEmpty());
  EXPECT_THAT(walk(ListQuery{.after = PageKey{"", ""}}), IsEmpty());
}

// ---- retry and children ----

TEST_P(RepositoryLists, ARetryIsANewOperationWithTheSameRequest) {
  const OperationId id = failed();
  const std::string before = everything(id);
  clock_.advance(Duration(1000));
  const Created retried = store().retry(id, {"op_again"}, {}, std::nullopt).value();
  EXPECT_FALSE(retried.replayed);
  EXPECT_EQ(retried.operation.status, OperationStatus::kPending);
  EXPECT_EQ(retried.operation.phase, Phase::kQueued);
  EXPECT_EQ(retried.operation.attempt, 1);
  EXPECT_EQ(retried.operation.version, 1);
  EXPECT_EQ(retried.operation.parent_operation_id, id.value);
  EXPECT_EQ(retried.operation.metadata, get(id).metadata);
  EXPECT_FALSE(retried.operation.checkpoint || retried.operation.metrics || retried.operation.error_message);
  EXPECT_EQ(store().job({"op_again"}).value().request, store().job(id).value().request);
  EXPECT_EQ(everything(id), before) << "the failed one stays as it is";
  const Fence fence{1, {"worker-2"}};
  EXPECT_THAT(store().claim({"op_again"}, fence, "beta"), IsOk()) << "it really waits for a worker";
}

TEST_P(RepositoryLists, ARetryForgetsThatChangesWereAllowed) {
  const OperationId id = failed();
  ASSERT_THAT(store().try_resume(id, true, {}, std::nullopt), IsOk());
  ASSERT_THAT(store().fail_unclaimed(id, 2, "x"), IsOk());
  ASSERT_TRUE(store().job(id).value().request.allow_changes);
  ASSERT_THAT(store().retry(id, {"op_again"}, {}, std::nullopt), IsOk());
  EXPECT_FALSE(store().job({"op_again"}).value().request.allow_changes);
}

TEST_P(RepositoryLists, ARefusedRetryMakesNothing) {
  const OperationId id = failed();
  const std::int64_t version = get(id).version;
  EXPECT_THAT(store().retry(id, {"op_again"}, {version + 1}, std::nullopt),
              FailsWith(ErrorCode::kPreconditionFailed));
  EXPECT_THAT(store().retry(id, id, {}, std::nullopt), FailsWith(ErrorCode::kConflict));
  EXPECT_THAT(store().retry(create("op_new"), {"op_again"}, {}, std::nullopt), SaysError("only a failed"));
  EXPECT_THAT(store().get({"op_again"}), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(store().children(id).value(), IsEmpty());
  EXPECT_THAT(store().retry(id, {"op_again"}, {version}, std::nullopt), IsOk());
}

TEST_P(RepositoryLists, ARepeatedRetryWithItsKeyMakesOneOperation) {
  const OperationId id = failed();
  const IdempotencyKey key{"key-1", "hash-1"};
  const Created first = store().retry(id, {"op_again"}, {}, key).value();
  const Created second = store().retry(id, {"op_another"}, {}, key).value();
  EXPECT_TRUE(second.replayed);
  EXPECT_EQ(api::to_json(second.operation), api::to_json(first.operation));
  EXPECT_THAT(store().get({"op_another"}), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(store().retry(failed("op_2"), {"op_another"}, {}, key), FailsWith(ErrorCode::kConflict));
}

TEST_P(RepositoryLists, ChildrenAreTheRetriesOldestFirst) {
  const OperationId id = failed();
  for (const char* child : {"op_z", "op_y"}) {
    clock_.advance(Duration(1));
    ASSERT_THAT(store().retry(id, {child}, {}, std::nullopt), IsOk());
  }
  std::vector<std::string> children;
  for (const api::Operation& child : value_of(store().children(id))) children.push_back(child.operation_id);
  EXPECT_THAT(children, ElementsAre("op_z", "op_y"));
  EXPECT_THAT(store().children({"op_z"}).value(), IsEmpty());
}

// ---- checkpoints of all operations ----

TEST_P(RepositoryLists, TheCurrentCheckpointOfEachOperationIsListedNewestFirst) {
  failed("op_a");
  clock_.advance(Duration(1000));
  const std::string between = iso8601_utc(clock_.wall_ms());
  failed("op_b");
  create("op_without");
  const OperationId done = create("op_done");
  ASSERT_THAT(store().complete(done, completion(start(done))), IsOk());
  EXPECT_THAT(walk(CheckpointQuery{.limit = 1}), ElementsAre("op_b", "op_a"));
  EXPECT_THAT(walk(CheckpointQuery{.created_before = between}), ElementsAre("op_a"));
  const CheckpointPage page = value_of(store().list_checkpoints({}));
  EXPECT_EQ(page.checkpoints.front().checkpoint, *get({"op_b"}).checkpoint);
  EXPECT_EQ(page.checkpoints.front().operation_version, get({"op_b"}).version);
}

TEST_P(RepositoryLists, CurrentCheckpointsAreCountedWhenAskedForAndOnEveryPageAlike) {
  const auto total = [&](CheckpointQuery query) {
    query.with_total = true;
    return value_of(store().list_checkpoints(query)).total_count;
  };
  EXPECT_EQ(total({}), 0);
  failed("op_a");
  clock_.advance(Duration(1000));
  const std::string between = iso8601_utc(clock_.wall_ms());
  failed("op_b");
  failed("op_c");
  create("op_without");
  EXPECT_EQ(total({}), 3) << "the current ones, not the ones before them";
  EXPECT_EQ(total({.created_before = between}), 1);
  const CheckpointPage first = value_of(store().list_checkpoints({.limit = 1}));
  EXPECT_EQ(first.total_count, std::nullopt) << "nobody asked";
  EXPECT_EQ(total({.after = first.next, .limit = 1}), 3);
  ASSERT_THAT(store().drop_checkpoints({"op_c"}, {}), IsOk());
  EXPECT_EQ(total({}), 2);
}

// A cursor of one list may be sent with another bound: both hold.
TEST_P(RepositoryLists, APageOfCheckpointsKeepsItsBoundAndItsPlace) {
  std::vector<std::string> times;
  for (const char* id : {"op_a", "op_b", "op_c", "op_d"}) {
    failed(id);
    times.push_back(get({id}).checkpoint->created_at);
    clock_.advance(Duration(1000));
  }
  EXPECT_THAT(walk(CheckpointQuery{.created_before = times[3], .limit = 1}),
              ElementsAre("op_c", "op_b", "op_a"));
  EXPECT_THAT(walk(CheckpointQuery{.created_before = times[3], .after = PageKey{times[1], "op_b"}}),
              ElementsAre("op_a"));
  EXPECT_THAT(walk(CheckpointQuery{.created_before = times[1], .after = PageKey{times[3], "op_d"}}),
              ElementsAre("op_a"));
}

TEST_P(RepositoryLists, TotalsCountEveryKeptCheckpoint) {
  EXPECT_EQ(value_of(store().checkpoint_totals()).checkpoints, 0);
  EXPECT_EQ(value_of(store().checkpoint_totals()).oldest_created_at, std::nullopt);
  const std::string first = iso8601_utc(clock_.wall_ms());
  failed("op_a");
  clock_.advance(Duration(1000));
  failed("op_b");
  const CheckpointTotals totals = value_of(store().checkpoint_totals());
  EXPECT_EQ(totals.operations, 2);
  EXPECT_EQ(totals.checkpoints, 4);
  EXPECT_EQ(totals.size_bytes, 4 * 4096);
  EXPECT_EQ(totals.oldest_created_at, first);
}

TEST_P(RepositoryLists, ALateDropWithItsVersionDoesNotHitTheCheckpointsOfALaterRun) {
  const OperationId id = failed();
  const std::int64_t version = get(id).version;
  ASSERT_THAT(resume(id), IsOk());
  ASSERT_THAT(store().fail_unclaimed(id, 2, "x"), IsOk());
  const std::string before = everything(id);
  EXPECT_THAT(store().drop_checkpoints(id, {version}), FailsWith(ErrorCode::kPreconditionFailed));
  EXPECT_EQ(everything(id), before);
  EXPECT_EQ(store().drop_checkpoints(id, {version + 2}).value().version, version + 3);
  EXPECT_EQ(get(id).version, version + 3) << "a change of state";
  EXPECT_THAT(store().drop_checkpoints(id, {version + 2}), FailsWith(ErrorCode::kPreconditionFailed));
}

TEST_P(RepositoryLists, EpochsCanBeAddedByTheOwnerOnlyAndAreASignOfLife) {
  const OperationId id = create();
  const Fence fence = start(id);
  const std::int64_t before = pulse_of(id).heartbeat_sequence;
  ASSERT_THAT(store().add_epochs(id, fence, heartbeat(fence, {0, 1}).epochs), IsOk());
  EXPECT_EQ(pulse_of(id).heartbeat_sequence, before + 1);
  EXPECT_EQ(get(id).metrics.value().epochs.size(), 2u);
}

}  // namespace ktrdr::storage::testing
