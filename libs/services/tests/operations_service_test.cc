#include "ktrdr/services/operations_service.h"

#include <gtest/gtest.h>

#include <limits>

#include "operations_bench.h"

namespace ktrdr::services {
namespace {

using api::OperationStatus;
using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

using TestBench = OperationsBench;

TEST(OperationsService, ResumeGoesToAFreeWorkerAtOnce) {
  TestBench bench;
  bench.connect_worker();
  bench.run_until_failed();
  bench.gateway.when_asked([&] { bench.claim(2); });
  const auto resumed = bench.resume();
  ASSERT_THAT(resumed, IsOk());
  EXPECT_EQ(resumed->status, OperationStatus::kRunning);
  EXPECT_EQ(resumed->attempt, 2);
  EXPECT_EQ(resumed->phase, api::Phase::kRestoring);
  EXPECT_EQ(resumed->version, bench.store->get(bench.id)->version) << "what an If-Match must name";
  EXPECT_EQ(resumed->resumed_from.checkpoint_type, CheckpointType::kPeriodic);
  EXPECT_THAT(bench.gateway.calls(), ElementsAre("resume op_1 at worker-1"));
}

TEST(OperationsService, ResumeWaitsInTheQueueWhenNobodyIsFree) {
  TestBench bench;
  bench.run_until_failed();
  const auto resumed = bench.resume();
  ASSERT_THAT(resumed, IsOk());
  EXPECT_EQ(resumed->phase, api::Phase::kQueued);
  EXPECT_EQ(resumed->workers_connected, 0);
  EXPECT_EQ(bench.service.get(bench.id)->status, OperationStatus::kRunning);
}

TEST(OperationsService, ResumeTriesTheNextWorker) {
  TestBench bench;
  bench.connect_worker("worker-1");
  bench.connect_worker("worker-2");
  bench.run_until_failed();
  bench.gateway.will_answer({ErrorCode::kUnavailable, "gone"});
  ASSERT_THAT(bench.resume(), IsOk());
  EXPECT_THAT(bench.gateway.calls(), ElementsAre("resume op_1 at worker-1", "resume op_1 at worker-2"));
  EXPECT_EQ(bench.workers.get({"worker-1"})->status, "temporarily_unavailable");
}

TEST(OperationsService, AWorkersVerdictEndsTheAttemptAndReachesTheClient) {
  TestBench bench;
  bench.connect_worker();
  bench.run_until_failed();
  bench.gateway.will_answer({ErrorCode::kCheckpointCorrupted, "Both checkpoints are damaged."});
  EXPECT_THAT(bench.resume(), FailsWith(ErrorCode::kCheckpointCorrupted));
  const auto after = bench.service.get(bench.id);
  EXPECT_EQ(after->status, OperationStatus::kFailed);
  EXPECT_EQ(after->error_message, "Both checkpoints are damaged.");
}

TEST(OperationsService, AnAttemptThatWorkersKeepFailingToReadIsNotDispatchedForEver) {
  TestBench bench;
  bench.connect_worker();
  bench.run_until_failed();
  for (int i = 0; i < 5; ++i) bench.gateway.will_answer({ErrorCode::kIo, "Permission denied."});
  ASSERT_THAT(bench.resume(), IsOk()) << "it waits for a better worker";
  EXPECT_EQ(bench.workers.available().size(), 1u) << "the worker can take other work";
  const auto look_after = [&](Duration pause) {
    bench.clock.advance(pause);
    bench.connect_worker();  // a sign of life
    bench.dispatcher.dispatch_waiting();
  };
  for (const Duration pause : {1s, 2s, 4s, 8s}) {
    const std::size_t asked = bench.gateway.calls().size();
    look_after(pause - 1ms);
    EXPECT_EQ(bench.gateway.calls().size(), asked) << "too early to ask the same worker again";
    EXPECT_EQ(bench.service.get(bench.id)->status, OperationStatus::kRunning);
    look_after(1ms);
    EXPECT_EQ(bench.gateway.calls().size(), asked + 1);
  }
  EXPECT_EQ(bench.service.get(bench.id)->status, OperationStatus::kFailed);
  EXPECT_EQ(bench.service.get(bench.id)->error_message, "Permission denied.");
}

TEST(OperationsService, AnAttemptThatOneWorkerHasTroubleWithGoesToTheNextThatComes) {
  TestBench bench;
  bench.connect_worker();
  bench.run_until_failed();
  bench.gateway.will_answer({ErrorCode::kInternal, "HTTP status 500."});
  ASSERT_THAT(bench.resume(), IsOk());
  for (int pass = 0; pass < 20; ++pass) bench.dispatcher.dispatch_waiting();
  bench.connect_worker("worker-2");
  bench.dispatcher.dispatch_waiting();
  EXPECT_EQ(bench.gateway.calls().back(), "resume " + bench.id.value + " at worker-2");
  EXPECT_EQ(bench.service.get(bench.id)->status, OperationStatus::kRunning);
}

TEST(OperationsService, ALateCancelCallDoesNotStopTheNextAttempt) {
  TestBench bench;
  bench.connect_worker();
  bench.claim();
  bench.commit(1, 0, std::nullopt);
  Synchronized<bool> held(true);
  ASSERT_TRUE(bench.dispatches.post([&held] {  // the queue is busy while the cancel's call waits in it
    held.wait(
        10s, [](bool& holding) { return !holding; }, [](bool&, bool) {});
  }));
  ASSERT_THAT(bench.service.cancel(bench.id, "enough", {}), IsOk());
  ASSERT_THAT(bench.service.stopped(bench.id, {1, "worker-1", api::StopReason::kCancelled}), IsOk());
  ASSERT_THAT(bench.service.try_resume(bench.id, false, {}, std::nullopt), IsOk());
  bench.claim(2);
  held.update([](bool& holding) { holding = false; });
  bench.dispatches.stop();
  EXPECT_THAT(bench.gateway.calls(), IsEmpty());
}

TEST(OperationsService, AHeartbeatThatTheStoreCanNotTakeIsNoSilence) {
  TestBench bench;
  bench.claim();
  EXPECT_FALSE(bench.service.take_store_trouble(1s));
  EXPECT_THAT(bench.service.heartbeat(bench.id, {.attempt = 7, .worker_id = "worker-1"}),
              FailsWith(ErrorCode::kStale));
  EXPECT_FALSE(bench.service.take_store_trouble(1s)) << "a refusal is an answer of a healthy store";
}

TEST(OperationsService, AHeartbeatThatIsStuckInTheStoreIsNoSilence) {
  TestBench bench;
  bench.claim();
  std::vector<bool> trouble;
  bench.store_clock.meanwhile = [&] {
    bench.clock.advance(600ms);
    trouble.push_back(bench.service.take_store_trouble(1s));
  };
  const api::HeartbeatRequest beat{.attempt = 1, .worker_id = "worker-1"};
  ASSERT_THAT(bench.service.heartbeat(bench.id, beat), IsOk());
  ASSERT_EQ(trouble.size(), 1u) << "the store looks at the clock once a heartbeat";
  EXPECT_FALSE(trouble[0]) << "600 ms are not too long";
  bench.store_clock.meanwhile = [&] {
    bench.clock.advance(1s);
    trouble.push_back(bench.service.take_store_trouble(1s));
  };
  ASSERT_THAT(bench.service.heartbeat(bench.id, beat), IsOk());
  EXPECT_TRUE(trouble.back());
  EXPECT_FALSE(bench.service.take_store_trouble(1s)) << "the store took it after all";
}

TEST(OperationsService, ARefusedResumeAsksNoWorker) {
  TestBench bench;
  bench.connect_worker();
  EXPECT_THAT(bench.resume(), FailsWith(ErrorCode::kConflict)) << "it is pending";
  EXPECT_THAT(bench.gateway.calls(), IsEmpty());
}

TEST(OperationsService, CancelOfAWaitingOperationIsDoneAtOnce) {
  TestBench bench;
  const auto cancelled = bench.service.cancel(bench.id, "not needed", {});
  ASSERT_THAT(cancelled, IsOk());
  EXPECT_EQ(cancelled->status, OperationStatus::kCancelled);
  EXPECT_THAT(bench.gateway.calls(), IsEmpty());
}

TEST(OperationsService, CancelTellsTheWorkerAndIsAnsweredWhenItHasStopped) {
  TestBench bench;
  bench.connect_worker();
  bench.claim();
  const auto requested = bench.service.cancel(bench.id, "enough", {});
  ASSERT_THAT(requested, IsOk());
  EXPECT_EQ(requested->status, OperationStatus::kRunning);
  bench.dispatches.stop();  // runs what was posted
  EXPECT_THAT(bench.gateway.calls(), ElementsAre("cancel op_1 at worker-1"));

  std::vector<OperationStatus> answers;
  bench.service.when_finished(*bench.service.get(bench.id), 10s,
                              [&](const auto& operation) { answers.push_back(operation->status); });
  EXPECT_THAT(answers, IsEmpty());
  ASSERT_THAT(bench.service.stopped(bench.id, {1, "worker-1", api::StopReason::kCancelled}), IsOk());
  EXPECT_THAT(answers, ElementsAre(OperationStatus::kCancelled));
  bench.clock.advance(20s);
  bench.service.answer_waiters();
  EXPECT_EQ(answers.size(), 1u) << "answered once only";
}

TEST(OperationsService, AWaiterIsAnsweredWhenItsTimeIsUp) {
  TestBench bench;
  bench.claim();
  std::vector<OperationStatus> answers;
  bench.service.when_finished(*bench.service.get(bench.id), 10s,
                              [&](const auto& operation) { answers.push_back(operation->status); });
  bench.clock.advance(9s);
  bench.service.answer_waiters();
  EXPECT_THAT(answers, IsEmpty());
  bench.clock.advance(1s);
  bench.service.answer_waiters();
  EXPECT_THAT(answers, ElementsAre(OperationStatus::kRunning));
}

TEST(OperationsService, WaitingForWhatHasEndedIsAnsweredAtOnce) {
  TestBench bench;
  bench.run_until_failed();
  std::vector<OperationStatus> answers;
  bench.service.when_finished(*bench.service.get(bench.id), 10s,
                              [&](const auto& operation) { answers.push_back(operation->status); });
  EXPECT_THAT(answers, ElementsAre(OperationStatus::kFailed));
}

// Between two looks an operation may have been resumed, also at another server.
TEST(OperationsService, AWaiterForAnAttemptIsNotAnsweredByTheNextOne) {
  TestBench bench;
  bench.claim();
  bench.commit(1, 0, std::nullopt);
  const auto requested = bench.service.cancel(bench.id, "enough", {});
  std::vector<OperationStatus> answers;
  bench.service.when_finished(*requested, 10s,
                              [&](const auto& operation) { answers.push_back(operation->status); });
  ASSERT_THAT(bench.store->stopped(bench.id, {.attempt = 1, .worker_id = "worker-1"}), IsOk());
  ASSERT_THAT(bench.store->try_resume(bench.id, false, {}, std::nullopt), IsOk());
  bench.service.answer_waiters();
  EXPECT_THAT(answers, ElementsAre(OperationStatus::kCancelled));
}

TEST(OperationsService, AWaiterForAnAttemptIsNotAnsweredByTheEndOfTheNextOne) {
  TestBench bench;
  bench.claim();
  bench.commit(1, 0, std::nullopt);
  const auto requested = bench.service.cancel(bench.id, "enough", {});
  std::vector<OperationStatus> answers;
  bench.service.when_finished(*requested, 10s,
                              [&](const auto& operation) { answers.push_back(operation->status); });
  ASSERT_THAT(bench.store->stopped(bench.id, {.attempt = 1, .worker_id = "worker-1"}), IsOk());
  ASSERT_THAT(bench.store->try_resume(bench.id, false, {}, std::nullopt), IsOk());
  bench.claim(2);
  ASSERT_THAT(bench.store->complete(bench.id, {.attempt = 2, .worker_id = "worker-1"}), IsOk());
  bench.service.answer_waiters();
  EXPECT_THAT(answers, ElementsAre(OperationStatus::kCancelled));
}

TEST(OperationsService, ARepeatedResumeOfAnAttemptThatAVerdictEndedTellsTheVerdict) {
  TestBench bench;
  bench.connect_worker();
  bench.run_until_failed();
  bench.gateway.will_answer(Error(ErrorCode::kCheckpointCorrupted, "model.safetensors is damaged."));
  const storage::IdempotencyKey key{"key-1", "hash-1"};
  std::vector<Result<api::ResumeOperationData>> answers;
  const auto resume = [&] {
    bench.service.resume(bench.id, {}, {}, key, [&](auto answer) { answers.push_back(std::move(answer)); });
  };
  resume();
  bench.dispatches.stop();
  resume();
  ASSERT_EQ(answers.size(), 2u);
  for (const auto& answer : answers) EXPECT_THAT(answer, FailsWith(ErrorCode::kCheckpointCorrupted));
  EXPECT_EQ(answers[0].error().message, answers[1].error().message);
}

TEST(OperationsService, ARepeatedResumeShowsWhereTheAttemptIsNow) {
  TestBench bench;
  bench.run_until_failed();
  const storage::IdempotencyKey key{"key-1", "hash-1"};
  std::vector<Result<api::ResumeOperationData>> answers;
  const auto resume = [&] {
    bench.service.resume(bench.id, {}, {}, key, [&](auto answer) { answers.push_back(std::move(answer)); });
  };
  resume();
  bench.claim(2);
  resume();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0]->phase, api::Phase::kQueued);
  EXPECT_EQ(answers[1]->phase, api::Phase::kRestoring);
  EXPECT_EQ(answers[1]->attempt, 2);
  EXPECT_EQ(answers[1]->version, bench.store->get(bench.id)->version) << "what an If-Match must name";
}

// Another server's worker took the attempt while ours found nothing to start from.
TEST(OperationsService, AVerdictOnAnAttemptThatSomebodyElseTookIsNoRefusal) {
  TestBench bench;
  bench.connect_worker();
  bench.run_until_failed();
  bench.gateway.when_asked([&] { bench.claim(2); });
  bench.gateway.will_answer(Error(ErrorCode::kCheckpointNotFound, "There is no checkpoint here."));
  const auto resumed = bench.resume();
  ASSERT_THAT(resumed, IsOk());
  EXPECT_EQ(bench.service.get(bench.id)->status, OperationStatus::kRunning);
}

TEST(OperationsService, HeartbeatsCarryTheCancelRequest) {
  TestBench bench;
  bench.claim();
  EXPECT_FALSE(bench.service.heartbeat(bench.id, {.attempt = 1, .worker_id = "worker-1"})->cancel);
  ASSERT_THAT(bench.service.cancel(bench.id, "enough", {}), IsOk());
  EXPECT_TRUE(bench.service.heartbeat(bench.id, {.attempt = 1, .worker_id = "worker-1"})->cancel);
}

TEST(OperationsService, ACheckpointOfAnotherAttemptIsRefused) {
  TestBench bench;
  bench.claim();
  EXPECT_THAT(bench.service.commit_checkpoint(bench.id, {1, "worker-1", {.ref = {2, 0}}}),
              FailsWith(ErrorCode::kInvalidArgument));
}

TEST(OperationsService, AnOrphanEndsAsFailedAndWakesWhoWaits) {
  TestBench bench;
  bench.claim();
  std::vector<OperationStatus> answers;
  bench.service.when_finished(*bench.service.get(bench.id), 10s,
                              [&](const auto& operation) { answers.push_back(operation->status); });
  const auto pulses = bench.store->pulses();
  ASSERT_EQ(pulses->size(), 1u);
  ASSERT_THAT(bench.service.end_orphan(pulses->front(), "silent"), IsOk());
  EXPECT_THAT(answers, ElementsAre(OperationStatus::kFailed));
}

TEST(OperationsService, AnOrphanThatMovedIsLeftAlone) {
  TestBench bench;
  bench.claim();
  const auto pulses = bench.store->pulses();
  ASSERT_THAT(bench.service.heartbeat(bench.id, {.attempt = 1, .worker_id = "worker-1"}), IsOk());
  ASSERT_THAT(bench.service.end_orphan(pulses->front(), "silent"), IsOk());
  EXPECT_EQ(bench.service.get(bench.id)->status, OperationStatus::kRunning);
}

TEST(OperationsService, ARetryIsANewOperationThatWaits) {
  TestBench bench;
  bench.run_until_failed();
  const auto retried = bench.service.retry(bench.id, {}, std::nullopt);
  ASSERT_THAT(retried, IsOk());
  EXPECT_TRUE(retried->operation_id.starts_with("op_retry_training_")) << retried->operation_id;
  EXPECT_EQ(retried->status, OperationStatus::kPending);
  EXPECT_EQ(bench.service.children(bench.id)->size(), 1u);
  EXPECT_THAT(bench.service.retry({retried->operation_id}, {}, std::nullopt),
              FailsWith(ErrorCode::kConflict));
}

TEST(OperationsService, UpdateStatusStaysWithinTheStateMachine) {
  TestBench bench;
  const auto set = [&](OperationStatus status, storage::Precondition precondition = {}) {
    return bench.service.update_status(bench.id, status, "by hand", precondition);
  };
  for (const auto status : {OperationStatus::kPending, OperationStatus::kRunning, OperationStatus::kCompleted,
                            OperationStatus::kFailed})
    EXPECT_THAT(set(status), FailsWith(ErrorCode::kConflict)) << to_string(status);
  EXPECT_EQ(bench.service.get(bench.id)->version, 1);
  bench.run_until_failed();
  ASSERT_THAT(bench.service.try_resume(bench.id, false, {}, std::nullopt), IsOk());
  const std::int64_t version = bench.service.get(bench.id)->version;
  EXPECT_THAT(set(OperationStatus::kFailed, {version - 1}), FailsWith(ErrorCode::kPreconditionFailed));
  EXPECT_EQ(set(OperationStatus::kFailed, {version})->status, OperationStatus::kFailed);
  EXPECT_EQ(bench.service.get(bench.id)->error_message, "by hand");
  ASSERT_THAT(bench.service.try_resume(bench.id, false, {}, std::nullopt), IsOk());
  bench.claim(3);
  EXPECT_THAT(set(OperationStatus::kFailed), FailsWith(ErrorCode::kConflict)) << "its worker decides";
  EXPECT_EQ(set(OperationStatus::kCancelled)->phase, api::Phase::kCancelling);
}

// ---- restarts ----

TEST(OperationsService, AFailureWithRestartsLeftIsDispatchedAgainAfterABackoff) {
  TestBench bench(2);
  bench.connect_worker();
  bench.claim();
  bench.commit(1, 0, std::nullopt);
  ASSERT_THAT(bench.service.fail(bench.id, {1, "worker-1", "boom"}), IsOk());
  EXPECT_EQ(bench.service.get(bench.id)->restarts, 1);
  bench.clock.advance(999ms);
  bench.clock.jump_wall_clock(std::chrono::hours(1));
  bench.dispatcher.dispatch_waiting();
  EXPECT_THAT(bench.gateway.calls(), IsEmpty());
  bench.connect_worker();  // still there
  bench.clock.advance(1ms);
  bench.dispatcher.dispatch_waiting();
  EXPECT_THAT(bench.gateway.calls(), ElementsAre("resume op_1 at worker-1"));
}

TEST(OperationsService, AnotherServerHoldsARestartBackFromWhenItFirstSeesIt) {
  TestBench bench(2);
  bench.claim();
  bench.commit(1, 0, std::nullopt);
  ASSERT_THAT(bench.service.fail(bench.id, {1, "worker-1", "boom"}), IsOk());
  bench.clock.advance(10s);
  bench.connect_worker();
  Dispatcher other(bench.clock, *bench.store, bench.workers, bench.gateway);
  other.dispatch_waiting();
  EXPECT_THAT(bench.gateway.calls(), IsEmpty());
  bench.clock.advance(1s);
  other.dispatch_waiting();
  EXPECT_EQ(bench.gateway.calls().size(), 1u);
}

TEST(OperationsService, WhatIsHeldBackKeepsNobodyElseWaiting) {
  TestBench bench(2);
  bench.connect_worker();
  bench.claim();
  ASSERT_THAT(bench.service.fail(bench.id, {1, "worker-1", "boom"}), IsOk());
  bench.clock.advance(1ms);
  ASSERT_THAT(bench.store->create({.id = {"op_2"}, .request = {.strategy_yaml = "x"}}, std::nullopt), IsOk());
  bench.dispatcher.dispatch_waiting();
  EXPECT_THAT(bench.gateway.calls(), ElementsAre("start op_2 at worker-1"));
}

TEST(OperationsService, WhatAWorkerHandedBackGoesOnAtOnce) {
  TestBench bench(2);
  bench.claim();
  bench.commit(1, 0, std::nullopt);
  ASSERT_THAT(bench.service.stopped(bench.id, {1, "worker-1", api::StopReason::kShutdown}), IsOk());
  EXPECT_EQ(bench.service.get(bench.id)->attempt, 2);
  bench.connect_worker("worker-2");
  bench.dispatcher.dispatch_waiting();
  EXPECT_THAT(bench.gateway.calls(), ElementsAre("resume op_1 at worker-2"));
}

TEST(OperationsService, ABatchThatAWorkerSaysFailedTwiceIsNotTriedAgain) {
  TestBench bench(5);
  bench.claim();
  ASSERT_THAT(bench.service.fail(bench.id, {1, "worker-1", "boom", 3, 7}), IsOk());
  bench.claim(2);
  ASSERT_THAT(bench.service.fail(bench.id, {2, "worker-1", "boom", 3, 7}), IsOk());
  EXPECT_EQ(bench.service.get(bench.id)->status, OperationStatus::kFailed);
}

TEST(OperationsService, ALapsedLeaseWithRestartsLeftIsQueuedAgain) {
  TestBench bench(1);
  bench.claim();
  ASSERT_THAT(bench.service.end_orphan(bench.store->pulses()->front(), "silent"), IsOk());
  EXPECT_EQ(bench.service.get(bench.id)->status, OperationStatus::kRunning);
  EXPECT_EQ(bench.service.get(bench.id)->phase, api::Phase::kQueued);
  EXPECT_THAT(bench.service.heartbeat(bench.id, {.attempt = 1, .worker_id = "worker-1"}),
              FailsWith(ErrorCode::kStale));
}

TEST(Dispatcher, SendsAgainUntilSomebodyHasClaimed) {
  TestBench bench;
  for (int pass = 0; pass < 3; ++pass) {
    bench.connect_worker();  // it took the work and says that it is free: it never claimed
    bench.dispatcher.dispatch_waiting();
  }
  EXPECT_EQ(bench.gateway.calls().size(), 3u);
  bench.claim();
  bench.connect_worker();
  bench.dispatcher.dispatch_waiting();
  EXPECT_EQ(bench.gateway.calls().size(), 3u);
}

TEST(Dispatcher, AWorkerThatRefusesOrCanNotBeReachedIsSkippedAndComesBack) {
  TestBench bench;
  for (const ErrorCode code : {ErrorCode::kUnavailable, ErrorCode::kConflict}) {
    bench.connect_worker("worker-1");
    bench.clock.advance(1ms);
    bench.connect_worker("worker-2");
    bench.gateway.will_answer(Error(code, "not me"));
    bench.dispatcher.dispatch_waiting();
  }
  const auto calls = bench.gateway.calls();
  ASSERT_EQ(calls.size(), 4u) << "each time the next one was asked";
  EXPECT_NE(calls[0], calls[1]);
  EXPECT_NE(calls[2], calls[3]);
  bench.connect_worker("worker-1");
  bench.connect_worker("worker-2");
  bench.dispatcher.dispatch_waiting();
  EXPECT_EQ(bench.gateway.calls().size(), 5u)
      << "whoever was skipped is asked again after its next sign of life";
}

TEST(Dispatcher, EveryRestartInARowWaitsTwiceAsLongUpToAMinute) {
  EXPECT_EQ(restart_backoff(0, 1s), 0s);
  EXPECT_EQ(restart_backoff(1, 1s), 1s);
  EXPECT_EQ(restart_backoff(2, 1s), 2s);
  EXPECT_EQ(restart_backoff(5, 1s), 16s);
  EXPECT_EQ(restart_backoff(1000, 1s), 60s);
}

// ---- the seed's cache ----

TEST(OperationsService, TheCacheIsChangedOnlyAfterTheStoreAcceptedTheChange) {
  TestBench bench;
  bench.claim();
  api::HeartbeatRequest beat{.attempt = 1, .worker_id = "worker-9"};
  beat.progress.percentage = 80;
  EXPECT_THAT(bench.service.heartbeat(bench.id, beat), FailsWith(ErrorCode::kStale));
  EXPECT_EQ(bench.service.get(bench.id)->progress.percentage, 0);
  beat.worker_id = "worker-1";
  ASSERT_THAT(bench.service.heartbeat(bench.id, beat), IsOk());
  EXPECT_EQ(bench.service.get(bench.id)->progress.percentage, 80);
}

TEST(OperationsService, AfterAResumeTheCacheShowsNothingOfTheAttemptBefore) {
  TestBench bench;
  bench.claim();
  bench.commit(1, 0, std::nullopt);
  api::HeartbeatRequest beat{.attempt = 1, .worker_id = "worker-1"};
  beat.progress.context.global_step = 900;
  ASSERT_THAT(bench.service.heartbeat(bench.id, beat), IsOk());
  EXPECT_THAT(bench.service.fail(bench.id, {1, "worker-1", "boom"}), IsOk());
  ASSERT_THAT(bench.service.try_resume(bench.id, false, {}, std::nullopt), IsOk());
  api::Operation shown = *bench.service.get(bench.id);
  shown.seconds_since_checkpoint = shown.seconds_at_risk = std::nullopt;  // what no cache has
  EXPECT_EQ(api::to_json(shown), api::to_json(*bench.store->get(bench.id)));
}

TEST(OperationsService, ShowsWhatTheWorkerCountedWhileItRuns) {
  TestBench bench;
  bench.claim();
  const api::CheckpointCounts counts{.saved = 3, .failed = 1, .bytes_saved = 4096, .pause_seconds = 0.5};
  ASSERT_THAT(
      bench.service.heartbeat(bench.id, {.attempt = 1, .worker_id = "worker-1", .checkpoint_counts = counts}),
      IsOk());
  EXPECT_EQ(bench.service.get(bench.id)->checkpoint_counts, counts);
  ASSERT_THAT(bench.service.fail(bench.id, {1, "worker-1", "boom"}), IsOk());
  EXPECT_EQ(bench.service.get(bench.id)->checkpoint_counts, std::nullopt);
}

// ---- what a crash would cost ----

TEST(OperationsService, WhatACrashWouldCostIsTheTimeSinceTheCheckpointWasTaken) {
  TestBench bench;
  bench.claim();
  EXPECT_EQ(bench.service.get(bench.id)->seconds_at_risk, std::nullopt) << "it has no checkpoint yet";
  bench.clock.advance(60s);
  // Copied 5 seconds before it was written and the server heard of it.
  ASSERT_THAT(bench.service.commit_checkpoint(
                  bench.id, {1, "worker-1", {.ref = {1, 0}, .created_at = "2099-01-01T00:00:00Z"}, 5000}),
              IsOk());
  EXPECT_EQ(bench.service.get(bench.id)->seconds_since_checkpoint, 5) << "not what the worker's clock says";
  bench.clock.advance(7s);
  EXPECT_EQ(bench.service.get(bench.id)->seconds_since_checkpoint, 12);
  EXPECT_EQ(bench.service.get(bench.id)->seconds_at_risk, 12);
  bench.clock.jump_wall_clock(-1h);
  EXPECT_EQ(bench.service.get(bench.id)->seconds_at_risk, 0) << "never negative";
  ASSERT_THAT(bench.service.fail(bench.id, {1, "worker-1", "boom"}), IsOk());
  EXPECT_EQ(bench.service.get(bench.id)->seconds_since_checkpoint, std::nullopt) << "nothing runs";
  EXPECT_EQ(bench.service.get(bench.id)->seconds_at_risk, std::nullopt);
}

TEST(OperationsService, ACrashAfterAResumeCostsNothingOfTheTimeBefore) {
  TestBench bench;
  bench.run_until_failed();
  bench.clock.advance(std::chrono::hours(48));
  ASSERT_THAT(bench.service.try_resume(bench.id, false, {}, std::nullopt), IsOk());
  bench.clock.advance(30s);
  EXPECT_EQ(bench.service.get(bench.id)->seconds_at_risk, 0) << "it waits for a worker";
  EXPECT_EQ(bench.service.get(bench.id)->seconds_since_checkpoint, 48 * 3600 + 30);
  bench.claim(2);
  bench.clock.advance(4s);
  EXPECT_EQ(bench.service.get(bench.id)->seconds_at_risk, 34) << "since the resume, at most";
}

TEST(OperationsService, ACheckpointWasNotTakenInTheFuture) {
  TestBench bench;
  bench.claim();
  EXPECT_THAT(bench.service.commit_checkpoint(bench.id, {1, "worker-1", {.ref = {1, 0}}, -1}),
              FailsWith(ErrorCode::kInvalidArgument));
  constexpr auto kForEver = std::numeric_limits<std::int64_t>::max();
  EXPECT_THAT(bench.service.commit_checkpoint(bench.id, {1, "worker-1", {.ref = {1, 0}}, kForEver}), IsOk());
}

TEST(OperationsCache, ShowsTheFurtherProgressOfTheSameAttemptOnly) {
  OperationsCache cache;
  api::Operation row{.operation_id = "op_1", .status = OperationStatus::kRunning, .attempt = 2};
  row.progress.context.global_step = 50;
  const auto shown = [&](Attempt attempt, std::int64_t step) {
    api::HeartbeatRequest beat{.attempt = attempt, .worker_id = "w"};
    beat.progress.context.global_step = step;
    cache.accepted({"op_1"}, beat);
    api::Operation copy = row;
    cache.show_progress(copy);
    return copy.progress.context.global_step;
  };
  EXPECT_EQ(shown(1, 999), 50) << "an attempt before";
  EXPECT_EQ(shown(2, 40), 50) << "another server was told more";
  EXPECT_EQ(shown(2, 60), 60);
  EXPECT_EQ(shown(1, 70), 60) << "a late answer to an attempt before";
  row.status = OperationStatus::kFailed;
  EXPECT_EQ(shown(2, 80), 50) << "live progress of what is over";
  cache.forget({"op_1"});
  EXPECT_EQ(cache.size(), 0u);
}

}  // namespace
}  // namespace ktrdr::services
