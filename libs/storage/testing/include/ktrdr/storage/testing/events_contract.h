// The part of the repository's contract about the history: each accepted change has exactly its event.
// Included by operations_repository_contract.h, which tells how to run it.
#pragma once

#include "ktrdr/storage/testing/contract_base.h"

namespace ktrdr::storage::testing {

using api::EventKind;

// "claimed running 1 v2 worker-1/alpha 1-0": all but time and message.
inline std::string in_short(const api::OperationEvent& event) {
  std::string text = std::string(to_string(event.kind)) + " " + std::string(to_string(event.status)) + " " +
                     std::to_string(event.attempt) + " v" + std::to_string(event.version);
  if (event.worker_id) text += " " + *event.worker_id + "/" + event.worker_name.value_or("");
  if (event.checkpoint) text += " " + event.checkpoint->to_string();
  return text;
}

class RepositoryEvents : public OperationsRepositoryContract {
 protected:
  std::vector<api::OperationEvent> history(const OperationId& id, std::int64_t after = 0) {
    const Result<EventPage> page = store().events(id, {.after = after, .limit = kMostEvents});
    EXPECT_THAT(page, IsOk());
    return page.ok() ? page->events : std::vector<api::OperationEvent>{};
  }

  std::vector<std::string> story(const OperationId& id, std::int64_t after = 0) {
    std::vector<std::string> lines;
    for (const api::OperationEvent& event : history(id, after)) lines.push_back(in_short(event));
    return lines;
  }

  std::vector<std::int64_t> numbers(const OperationId& id, const EventQuery& query) {
    std::vector<std::int64_t> numbers;
    for (const api::OperationEvent& event : value_of(store().events(id, query)).events) {
      numbers.push_back(event.sequence);
    }
    return numbers;
  }

  // The one event that `change` adds, after whose version and status the row's own are.
  template <class Change>
  api::OperationEvent event_of(const OperationId& id, Change change) {
    const std::int64_t before = value_of(store().events(id, {})).last_sequence;
    clock_.advance(Duration(1000));
    EXPECT_THAT(change(), IsOk());
    const auto added = history(id, before);
    EXPECT_EQ(added.size(), 1u);
    if (added.size() != 1) return {};
    EXPECT_EQ(added[0].sequence, before + 1);
    EXPECT_EQ(added[0].at, iso8601_utc(clock_.wall_ms()));
    EXPECT_EQ(added[0].version, get(id).version);
    EXPECT_EQ(added[0].status, get(id).status);
    EXPECT_EQ(added[0].attempt, get(id).attempt);
    return added[0];
  }
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RepositoryEvents);

TEST_P(RepositoryEvents, EveryChangeHasItsEventInOrderWithTheVersionItLedTo) {
  const OperationId id = create();
  const Fence first = start(id), second{2, {"worker-2"}};
  ASSERT_THAT(store().rewind(id, first, rewind_to({1, 1}, {1, 0})), IsOk());
  ASSERT_THAT(store().heartbeat(id, heartbeat(first, {0})), IsOk());  // no event
  ASSERT_THAT(store().request_cancel(id, "wrong data", {}), IsOk());
  ASSERT_THAT(store().stopped(id, stop(first)), IsOk());
  ASSERT_THAT(resume(id), IsOk());
  ASSERT_THAT(store().claim(id, second, "beta"), IsOk());
  ASSERT_THAT(store().fail(id, second, "out of memory"), IsOk());
  ASSERT_THAT(store().drop_checkpoints(id, {}), IsOk());
  EXPECT_THAT(
      story(id),
      ElementsAre("created pending 1 v1", "claimed running 1 v2 worker-1/alpha",
                  "checkpoint running 1 v2 worker-1/alpha 1-0", "checkpoint running 1 v2 worker-1/alpha 1-1",
                  "rewound running 1 v2 worker-1/alpha 1-0",
                  "cancel_requested running 1 v3 worker-1/alpha 1-0",
                  "cancelled cancelled 1 v4 worker-1/alpha 1-0", "resumed running 2 v5 1-0",
                  "claimed running 2 v6 worker-2/beta 1-0", "failed failed 2 v7 worker-2/beta 1-0",
                  "checkpoints_deleted failed 2 v8"));
  EXPECT_THAT(numbers(id, {.after = 0}), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
}

TEST_P(RepositoryEvents, EachEventSaysWhenAndWhy) {
  const OperationId id = create();
  Fence fence{1, {"worker-1"}};
  event_of(id, [&] { return store().claim(id, fence, "alpha"); });
  api::CheckpointInfo info = checkpoint({1, 0}, std::nullopt);
  EXPECT_EQ(event_of(id, [&] { return store().commit_checkpoint(id, fence, info); }).message,
            "initial, before epoch 1");
  info = checkpoint({1, 1}, CheckpointRef{1, 0}, 4);
  info.start_batch = 7;
  EXPECT_EQ(event_of(id, [&] { return store().commit_checkpoint(id, fence, info); }).message,
            "periodic, epoch 6, batch 7");
  EXPECT_THAT(event_of(id,
                       [&] {
                         return store().rewind(id, fence, rewind_to({1, 1}, {1, 0}));
                       })
                  .message,
              HasSubstr("is damaged"));
  api::OperationEvent event =
      event_of(id, [&] { return store().stopped(id, stop(fence, api::StopReason::kShutdown)); });
  EXPECT_EQ(event.kind, EventKind::kReleased);
  EXPECT_THAT(event.message, HasSubstr("shut down"));
  event = event_of(id, [&] { return store().try_resume(id, /*allow_changes=*/true, {}, std::nullopt); });
  EXPECT_THAT(event.message, HasSubstr("From initial, before epoch 1; allowed to go on with another"));
  EXPECT_EQ(event_of(id, [&] { return store().fail_unclaimed(id, 2, "no worker"); }).message, "no worker");
  ASSERT_THAT(resume(id), IsOk());
  fence = {3, {"worker-3"}};
  ASSERT_THAT(store().claim(id, fence, ""), IsOk());
  event = event_of(id, [&] { return store().complete(id, completion(fence)); });
  EXPECT_EQ(event.kind, EventKind::kCompleted);
  EXPECT_EQ(event.message, "Model models/x/1, SHA-256 " + kSha);
}

TEST_P(RepositoryEvents, ACancelIsARequestOrTheEndItself) {
  const OperationId pending = create("op_1"), claimed = create("op_2");
  start(claimed);
  const auto cancel = [&](const OperationId& id) { return store().request_cancel(id, "not needed", {}); };
  EXPECT_EQ(in_short(event_of(pending, [&] { return cancel(pending); })), "cancelled cancelled 1 v2");
  EXPECT_EQ(event_of(claimed, [&] { return cancel(claimed); }).kind, EventKind::kCancelRequested);
  EXPECT_EQ(history(claimed).back().message, "not needed");
  // Shutting down is not why it ended: somebody had asked for that.
  const Fence fence{1, {"worker-1"}};
  api::StoppedRequest stopped = stop(fence, api::StopReason::kShutdown);
  stopped.warning = "The last save failed.";
  EXPECT_EQ(event_of(claimed, [&] { return store().stopped(claimed, stopped); }).kind, EventKind::kCancelled);
  EXPECT_EQ(history(claimed).back().message, "not needed The last save failed.");
}

TEST_P(RepositoryEvents, ALapsedLeaseNamesTheWorkerAndWhatBecameOfTheOperation) {
  const OperationId lost = create("op_1"), cancelled = create("op_2");
  start(lost);
  start(cancelled);
  ASSERT_THAT(store().request_cancel(cancelled, "not needed", {}), IsOk());
  const auto end = [&](const OperationId& id) { return store().end_orphan(pulse_of(id), "silent for 10 s"); };
  EXPECT_EQ(in_short(event_of(lost, [&] { return end(lost); })),
            "lease_lapsed failed 1 v3 worker-1/alpha 1-1");
  EXPECT_EQ(history(lost).back().message, "silent for 10 s");
  EXPECT_EQ(in_short(event_of(cancelled, [&] { return end(cancelled); })),
            "lease_lapsed cancelled 1 v4 worker-1/alpha 1-1");
  EXPECT_THAT(history(cancelled).back().message, HasSubstr("alpha was lost"));
}

TEST_P(RepositoryEvents, ARetryBeginsAHistoryOfItsOwn) {
  const OperationId id = failed();
  const auto before = history(id);
  const IdempotencyKey key{"key-1", "hash-1"};
  ASSERT_THAT(store().retry(id, {"op_again"}, {}, key), IsOk());
  ASSERT_THAT(store().retry(id, {"op_again_again"}, {}, key), IsOk());  // the repeat
  EXPECT_EQ(history(id), before);
  EXPECT_THAT(story({"op_again"}), ElementsAre("created pending 1 v1"));
  EXPECT_THAT(history({"op_again"})[0].message, HasSubstr("retry of op_1"));
}

// That refusals add none is shown for every state by the StateMatrix: it compares everything().
TEST_P(RepositoryEvents, ARepeatThatChangesNothingAddsNoEvent) {
  const OperationId id{"op_1"};
  const Fence fence{1, {"worker-1"}};
  const IdempotencyKey create_key{"key-1", "hash"}, resume_key{"key-2", "hash"};
  const auto info = checkpoint({1, 0}, std::nullopt), next = checkpoint({1, 1}, CheckpointRef{1, 0}, 0);
  const std::vector<std::function<bool()>> changes = {
      [&] { return store().create(new_operation(id.value), create_key).ok(); },
      [&] { return store().claim(id, fence, "alpha").ok(); },
      [&] { return store().commit_checkpoint(id, fence, info).ok(); },
      [&] { return store().commit_checkpoint(id, fence, next).ok(); },
      [&] {
        return store().rewind(id, fence, rewind_to({1, 1}, {1, 0})).ok();
      },
      [&] { return store().request_cancel(id, "not needed", {}).ok(); },
      [&] { return store().stopped(id, stop(fence)).ok(); },
      [&] { return store().try_resume(id, false, {}, resume_key).ok(); },
      [&] { return store().fail_unclaimed(id, 2, "no good checkpoint").ok(); }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    ASSERT_TRUE(changes[i]()) << i;
    const auto once = history(id);
    EXPECT_EQ(once.size(), i + 1);
    ASSERT_TRUE(changes[i]()) << i;
    EXPECT_EQ(history(id), once) << i;
  }
}

TEST_P(RepositoryEvents, PagesFollowANumberOrAreTheNewest) {
  const OperationId id = failed();  // created, claimed, two checkpoints, failed
  EXPECT_THAT(numbers(id, {}), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(numbers(id, {.limit = 2}), ElementsAre(4, 5));
  EXPECT_THAT(numbers(id, {.after = 0, .limit = 2}), ElementsAre(1, 2));
  EXPECT_THAT(numbers(id, {.after = 2, .limit = 2}), ElementsAre(3, 4));
  EXPECT_THAT(numbers(id, {.after = 4}), ElementsAre(5));
  EXPECT_THAT(numbers(id, {.after = 5}), IsEmpty());
  EXPECT_THAT(numbers(id, {.after = 99}), IsEmpty());
  EXPECT_THAT(numbers(id, {.after = -5, .limit = 1}), ElementsAre(1));
  EXPECT_THAT(numbers(id, {.limit = 0}), IsEmpty());
  EXPECT_THAT(numbers(id, {.limit = -1}), IsEmpty());
  const EventPage page = value_of(store().events(id, {.after = 5}));
  EXPECT_EQ(page.last_sequence, 5);
  EXPECT_EQ(page.status, OperationStatus::kFailed);
}

TEST_P(RepositoryEvents, TheNewestNumbersOfManyOperationsAreReadAtOnce) {
  failed("op_1");
  create("op_2");
  EXPECT_THAT(store().last_events({{"op_2"}, {"op_unknown"}, {"op_1"}}).value(), ElementsAre(1, 0, 5));
  EXPECT_THAT(store().last_events({}).value(), IsEmpty());
  EXPECT_THAT(store().events({"op_unknown"}, {}), FailsWith(ErrorCode::kNotFound));
}

TEST_P(RepositoryEvents, OnlyOldCheckpointsArePushedOutOfAHistory) {
  const OperationId id = create();
  const Fence fence{1, {"worker-1"}};
  ASSERT_THAT(store().claim(id, fence, "alpha"), IsOk());
  constexpr std::int64_t kSurplus = 5;
  std::optional<CheckpointRef> parent;
  for (std::int64_t sequence = 0; sequence < kEventsBehindACheckpoint + kSurplus; ++sequence) {
    commit(id, fence, checkpoint({1, sequence}, parent));
    parent = CheckpointRef{1, sequence};
  }
  const EventPage page = value_of(store().events(id, {.after = 0, .limit = 3}));
  EXPECT_EQ(page.last_sequence, 2 + kEventsBehindACheckpoint + kSurplus);
  ASSERT_EQ(page.events.size(), 3u);
  EXPECT_EQ(page.events[1].kind, EventKind::kClaimed);
  EXPECT_EQ(page.events[2].sequence, page.last_sequence - kEventsBehindACheckpoint + 1);
}

TEST_P(RepositoryEvents, AMessageIsCutBetweenCharacters) {
  const OperationId id = create();
  const Fence fence = start(id);
  std::string traceback = "x";
  while (traceback.size() < 5000) traceback += "ф";
  const std::string message = event_of(id, [&] { return store().fail(id, fence, traceback); }).message;
  EXPECT_LE(message.size(), 2004u);
  EXPECT_TRUE(message.ends_with("ф ...")) << message.substr(message.size() - 10);
  EXPECT_EQ(get(id).error_message, traceback);
}

}  // namespace ktrdr::storage::testing
