// The part of the repository's contract about every state x every method.
// Included by operations_repository_contract.h, which tells how to run it.
#pragma once

#include "ktrdr/storage/testing/contract_base.h"

namespace ktrdr::storage::testing {

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
      {"retry",
       [&](auto& id, auto&) { return outcome(s.retry(id, {id.value + "_again"}, {}, std::nullopt)); },
       {C, C, C, C, C, O, O, O, O}},
      {"add_epochs",
       [&](auto& id, auto& fence) { return outcome(s.add_epochs(id, fence, heartbeat(fence, {7}).epochs)); },
       {S, S, O, O, S, S, S, S, S}},
      {"add_epochs by another",
       [&](auto& id, auto& fence) {
         return outcome(s.add_epochs(id, {fence.attempt, {"worker-9"}}, heartbeat(fence, {7}).epochs));
       },
       {S, S, S, S, S, S, S, S, S}},
      {"drop_checkpoints",
       [&](auto& id, auto&) { return outcome(s.drop_checkpoints(id, {})); },
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

}  // namespace ktrdr::storage::testing
