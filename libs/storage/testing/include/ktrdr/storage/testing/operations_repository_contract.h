// What every OperationsRepository must do, as tests. A store takes part by one line:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, OperationsRepositoryContract, Values(RepositoryFactory{..}),
//   name_of_factory);
//
// The numbers in brackets are the rules of fencing (docs/protocol.md).
#pragma once

#include <limits>
#include <map>

#include "ktrdr/storage/testing/operations_repository_fixture.h"

namespace ktrdr::storage::testing {

using api::OperationStatus;
using api::Phase;
using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

inline std::string name_of_factory(const ::testing::TestParamInfo<RepositoryFactory>& info) {
  return info.param.name;
}

class OperationsRepositoryContract : public RepositoryTest,
                                     public ::testing::WithParamInterface<RepositoryFactory> {
 protected:
  void SetUp() override { store_ = GetParam().make(folder_.path(), clock_); }
  OperationsRepository& store() override { return *store_; }

  Result<Resumed> resume(const OperationId& id, const Precondition& precondition = {},
                         const std::optional<IdempotencyKey>& key = std::nullopt) {
    return store().try_resume(id, false, precondition, key);
  }

  std::unique_ptr<OperationsRepository> store_;
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(OperationsRepositoryContract);

// ---- every state x every method ----

enum class State {
  kPending,     // never claimed
  kResumed,     // running, attempt 2, unclaimed
  kClaimed,     // running, owned, checkpoints 1-0 and 1-1
  kCancelling,  // the same, and a cancel was requested
  kCompleted,
  kFailed,     // by its worker, with checkpoints
  kStopped,    // cancelled by its worker, with checkpoints
  kWithdrawn,  // cancelled while pending: no checkpoint
  kOrphaned,   // failed by the sweeper, with checkpoints
};
constexpr std::array kStates = {State::kPending,    State::kResumed,   State::kClaimed,
                                State::kCancelling, State::kCompleted, State::kFailed,
                                State::kStopped,    State::kWithdrawn, State::kOrphaned};

class StateMatrix : public OperationsRepositoryContract {
 protected:
  // The pair that owns the operation, or would after a claim.
  Fence fence_of(State state) { return {state == State::kResumed ? 2 : 1, {"worker-1"}}; }

  OperationId in(State state) {
    const OperationId id = create("op_" + std::to_string(++count_));
    if (state == State::kPending) return id;
    if (state == State::kWithdrawn) {
      EXPECT_THAT(store().request_cancel(id, "not needed", {}), IsOk());
      return id;
    }
    advance(state, id, start(id));
    return id;
  }

  void advance(State state, const OperationId& id, const Fence& fence) {
    if (state == State::kCancelling) {
      EXPECT_THAT(store().request_cancel(id, "not needed", {}), IsOk());
    }
    if (state == State::kCompleted) {
      EXPECT_THAT(store().complete(id, completion(fence)), IsOk());
    }
    if (state == State::kFailed || state == State::kResumed) {
      EXPECT_THAT(store().fail(id, fence, "out of memory"), IsOk());
    }
    if (state == State::kStopped) {
      EXPECT_THAT(store().stopped(id, stop(fence)), IsOk());
    }
    if (state == State::kOrphaned) {
      EXPECT_THAT(store().end_orphan(pulse_of(id), "silent"), IsOk());
    }
    if (state == State::kResumed) {
      EXPECT_THAT(resume(id), IsOk());
    }
  }

  int count_ = 0;
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StateMatrix);

template <class T>
std::optional<ErrorCode> outcome(const Result<T>& result) {
  return result.ok() ? std::nullopt : std::optional(result.error().code);
}

TEST_P(StateMatrix, EveryChangeIsAcceptedOrRefusedByTheStateAndARefusalChangesNothing) {
  constexpr std::optional<ErrorCode> O = std::nullopt, C = ErrorCode::kConflict, S = ErrorCode::kStale,
                                     N = ErrorCode::kCheckpointNotFound;
  struct Line {
    const char* method;
    std::function<std::optional<ErrorCode>(const OperationId&, const Fence&)> call;
    std::array<std::optional<ErrorCode>, kStates.size()> expected;
  };
  OperationsRepository& s = store();
  const std::vector<Line> table = {
      // pending, resumed, claimed, cancelling, completed, failed, stopped, withdrawn, orphaned
      {"create again",
       [&](auto& id, auto&) { return outcome(s.create(new_operation(id.value), std::nullopt)); },
       {C, C, C, C, C, C, C, C, C}},
      {"try_resume", [&](auto& id, auto&) { return outcome(resume(id)); }, {C, C, C, C, C, O, O, N, O}},
      {"claim by its owner",
       [&](auto& id, auto& fence) { return outcome(s.claim(id, fence, "alpha")); },
       {O, O, O, O, C, C, C, C, C}},
      {"claim by another",
       [&](auto& id, auto& fence) {
         return outcome(s.claim(id, {fence.attempt, {"worker-9"}}, "beta"));
       },
       {O, O, C, C, C, C, C, C, C}},
      {"claim of a former attempt",
       [&](auto& id, auto& fence) {
         return outcome(s.claim(id, {fence.attempt - 1, {"worker-1"}}, "alpha"));
       },
       {S, S, S, S, S, S, S, S, S}},
      {"heartbeat",
       [&](auto& id, auto& fence) { return outcome(s.heartbeat(id, heartbeat(fence))); },
       {S, S, O, O, S, S, S, S, S}},
      {"heartbeat by another",
       [&](auto& id, auto& fence) {
         return outcome(s.heartbeat(id, heartbeat({fence.attempt, {"worker-9"}}, {5})));
       },
       {S, S, S, S, S, S, S, S, S}},
      {"commit_checkpoint",
       [&](auto& id, auto& fence) {
         return outcome(
             s.commit_checkpoint(id, fence, checkpoint({fence.attempt, 2}, CheckpointRef{1, 1}, 1)));
       },
       {S, S, O, O, S, S, S, S, S}},
      {"commit_checkpoint by another",
       [&](auto& id, auto& fence) {
         return outcome(s.commit_checkpoint(id, {fence.attempt, {"worker-9"}},
                                            checkpoint({fence.attempt, 2}, CheckpointRef{1, 1}, 1)));
       },
       {S, S, S, S, S, S, S, S, S}},
      {"commit_checkpoint of another attempt",
       [&](auto& id, auto& fence) {
         return outcome(s.commit_checkpoint(id, {fence.attempt + 1, fence.worker},
                                            checkpoint({fence.attempt + 1, 2}, CheckpointRef{1, 1}, 1)));
       },
       {S, S, S, S, S, S, S, S, S}},
      {"commit_checkpoint with an older parent",
       [&](auto& id, auto& fence) {
         return outcome(
             s.commit_checkpoint(id, fence, checkpoint({fence.attempt, 2}, CheckpointRef{1, 0}, 1)));
       },
       {S, S, C, C, S, S, S, S, S}},
      {"rewind",
       [&](auto& id, auto& fence) {
         return outcome(s.rewind(id, fence, rewind_to({1, 1}, {1, 0})));
       },
       {S, S, O, O, S, S, S, S, S}},
      {"rewind from an older one",
       [&](auto& id, auto& fence) {
         return outcome(s.rewind(id, fence, rewind_to({1, 0}, {1, 1})));
       },
       {S, S, C, C, S, S, S, S, S}},
      {"complete",
       [&](auto& id, auto& fence) { return outcome(s.complete(id, completion(fence))); },
       {S, S, O, O, O, S, S, S, S}},
      {"complete with another model",
       [&](auto& id, auto& fence) {
         return outcome(s.complete(id, completion(fence, std::string(64, 'b'))));
       },
       {S, S, O, O, S, S, S, S, S}},
      {"complete by another",
       [&](auto& id, auto& fence) {
         return outcome(s.complete(id, completion({fence.attempt, {"worker-9"}})));
       },
       {S, S, S, S, S, S, S, S, S}},
      {"fail",
       [&](auto& id, auto& fence) { return outcome(s.fail(id, fence, "out of memory")); },
       {S, S, O, O, S, O, S, S, S}},
      {"fail for another reason",
       [&](auto& id, auto& fence) { return outcome(s.fail(id, fence, "division by zero")); },
       {S, S, O, O, S, S, S, S, S}},
      {"fail by another",
       [&](auto& id, auto& fence) {
         return outcome(s.fail(id, {fence.attempt, {"worker-9"}}, "out of memory"));
       },
       {S, S, S, S, S, S, S, S, S}},
      {"stopped",
       [&](auto& id, auto& fence) { return outcome(s.stopped(id, stop(fence))); },
       {S, S, O, O, S, S, O, S, S}},
      {"stopped by another",
       [&](auto& id, auto& fence) {
         return outcome(s.stopped(id, stop({fence.attempt, {"worker-9"}})));
       },
       {S, S, S, S, S, S, S, S, S}},
      {"fail_unclaimed",
       [&](auto& id, auto& fence) { return outcome(s.fail_unclaimed(id, fence.attempt, "no checkpoint")); },
       {C, O, C, C, C, C, C, C, C}},
      {"fail_unclaimed of a former attempt",
       [&](auto& id, auto& fence) {
         return outcome(s.fail_unclaimed(id, fence.attempt - 1, "no checkpoint"));
       },
       {S, S, S, S, S, S, S, S, S}},
      {"request_cancel",
       [&](auto& id, auto&) { return outcome(s.request_cancel(id, "not needed", {})); },
       {O, O, O, O, C, C, C, C, C}},
      {"drop_checkpoints",
       [&](auto& id, auto&) { return outcome(s.drop_checkpoints(id)); },
       {C, C, C, C, N, O, O, N, O}},
  };
  for (const Line& line : table) {
    for (std::size_t i = 0; i < kStates.size(); ++i) {
      const OperationId id = in(kStates[i]);
      const std::string before = everything(id);
      clock_.advance(Duration(1000));  // a changed row would show it
      EXPECT_EQ(line.call(id, fence_of(kStates[i])), line.expected[i])
          << line.method << " in state " << i << ": " << before;
      if (line.expected[i]) {
        EXPECT_EQ(everything(id), before) << line.method << " in state " << i;
      }
    }
  }
}

TEST_P(StateMatrix, OnlyAnOwnedRunningRowIsEndedByTheSweeper) {
  for (const State state : kStates) {
    const OperationId id = in(state);
    const std::string before = everything(id);
    const Fence fence = fence_of(state);
    const Pulse watched{.id = id, .attempt = fence.attempt, .owner = fence.worker, .heartbeat_sequence = 0};
    const bool is_owned = state == State::kClaimed || state == State::kCancelling;
    EXPECT_EQ(store().end_orphan(watched, "silent").value(), is_owned) << static_cast<int>(state);
    if (!is_owned) {
      EXPECT_EQ(everything(id), before);
    }
  }
}

TEST_P(StateMatrix, CountersFollowEveryChangeOfState) {
  std::map<OperationStatus, std::int64_t> expected;
  for (const State state : kStates) ++expected[get(in(state)).status];
  for (const auto& [status, count] : expected) {
    EXPECT_EQ(store().list({.status = status}).value().total_count, count) << to_string(status);
  }
  const OperationPage page = store().list({}).value();
  EXPECT_EQ(page.total_count, static_cast<std::int64_t>(kStates.size()));
  EXPECT_EQ(page.active_count, expected[OperationStatus::kPending] + expected[OperationStatus::kRunning]);
}

TEST_P(StateMatrix, TheSweepOfObjectsKeepsWhatRowsNameAndTheWholeAttemptOfARunningRow) {
  const auto kept = [&](State state) { return store().keep(in(state)).value(); };
  for (const State state : {State::kClaimed, State::kCancelling}) {
    EXPECT_THAT(kept(state).refs, UnorderedElementsAre(CheckpointRef{1, 0}, CheckpointRef{1, 1}));
    EXPECT_EQ(kept(state).whole_attempt, 1);
  }
  EXPECT_EQ(kept(State::kResumed).whole_attempt, 2);
  EXPECT_EQ(kept(State::kFailed).whole_attempt, std::nullopt);
  EXPECT_EQ(kept(State::kFailed).refs.size(), 2u);
  EXPECT_THAT(kept(State::kCompleted).refs, IsEmpty());
  EXPECT_EQ(kept(State::kCompleted).whole_attempt, std::nullopt);
  EXPECT_THAT(store().keep({"op_unknown"}).value().refs, IsEmpty());
}

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
  EXPECT_THAT(store().drop_checkpoints(id), F);
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
  info.created_at = "2001-01-01T00:00:00.000Z";
  commit(id, fence, info);
  info.created_at = iso8601_utc(clock_.wall_ms());
  EXPECT_EQ(get(id).checkpoint, info);
  EXPECT_EQ(store().job(id).value().checkpoints.at(0), info);
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
  EXPECT_THAT(store().drop_checkpoints(id).value(), ElementsAre(CheckpointRef{1, 0}, CheckpointRef{1, 1}));
  EXPECT_FALSE(get(id).checkpoint.has_value());
  EXPECT_THAT(store().checkpoints(id).value(), IsEmpty());
  EXPECT_THAT(resume(id), FailsWith(ErrorCode::kCheckpointNotFound));
  EXPECT_EQ(get(id).status, OperationStatus::kFailed);
}

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
