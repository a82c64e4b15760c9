#include "ktrdr/services/finish_waiters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/matchers.h"

namespace ktrdr::services {
namespace {

using api::OperationStatus;
using ktrdr::testing::ManualClock;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

struct TestBench {
  ManualClock clock;
  FinishWaiters waiters{clock};
  const OperationId id{"op_1"};
  std::vector<std::string> heard;

  void wait_for(Attempt attempt, const OperationId& operation = {"op_1"}) {
    waiters.add(operation, attempt, 10s, [this](const Result<api::Operation>& now) {
      heard.push_back(now.ok() ? std::string(to_string(now->status)) : now.error().message);
    });
  }
  void tell(OperationStatus status, Attempt attempt) {
    waiters.tell(id, api::Operation{.operation_id = id.value, .status = status, .attempt = attempt});
  }
};

TEST(FinishWaiters, AreToldTheEndOfTheirAttemptOnce) {
  TestBench bench;
  bench.wait_for(1);
  bench.tell(OperationStatus::kRunning, 1);
  EXPECT_THAT(bench.heard, IsEmpty());
  bench.tell(OperationStatus::kFailed, 1);
  bench.tell(OperationStatus::kFailed, 1);
  EXPECT_THAT(bench.heard, ElementsAre("failed"));
  EXPECT_THAT(bench.waiters.awaited(), IsEmpty());
}

TEST(FinishWaiters, AreNotToldHowALaterAttemptEnded) {
  for (const auto status :
       {OperationStatus::kRunning, OperationStatus::kCompleted, OperationStatus::kFailed}) {
    TestBench bench;
    bench.wait_for(1);
    bench.tell(status, 2);
    EXPECT_THAT(bench.heard, ElementsAre("cancelled")) << "attempt 2 is " << to_string(status);
  }
}

TEST(FinishWaiters, AreNotToldHowAnEarlierAttemptEnded) {
  TestBench bench;
  bench.wait_for(2);
  bench.tell(OperationStatus::kFailed, 1);
  EXPECT_THAT(bench.heard, IsEmpty()) << "that row was read before the resume";
  bench.tell(OperationStatus::kCompleted, 2);
  EXPECT_THAT(bench.heard, ElementsAre("completed"));
}

TEST(FinishWaiters, EachIsAnsweredForTheAttemptThatItWaitsFor) {
  TestBench bench;
  bench.wait_for(1);
  bench.wait_for(2);
  bench.wait_for(2, {"op_2"});
  bench.tell(OperationStatus::kCompleted, 2);
  EXPECT_THAT(bench.heard, ElementsAre("cancelled", "completed"));
  EXPECT_THAT(bench.waiters.awaited(), ElementsAre(OperationId{"op_2"}));
}

TEST(FinishWaiters, ThoseWhoseTimeIsUpAreToldWhatIsKnown) {
  TestBench bench;
  bench.wait_for(1);
  bench.clock.advance(5s);
  bench.wait_for(1);
  bench.clock.advance(5s);
  bench.tell(OperationStatus::kRunning, 1);
  EXPECT_THAT(bench.heard, ElementsAre("running")) << "the second one has 5 s left";
}

TEST(FinishWaiters, AnErrorIsNoEnd) {
  TestBench bench;
  bench.wait_for(1);
  const Error away(ErrorCode::kUnavailable, "The store is away.");
  bench.waiters.tell(bench.id, away);
  EXPECT_THAT(bench.heard, IsEmpty());
  bench.clock.advance(10s);
  bench.waiters.tell(bench.id, away);
  EXPECT_THAT(bench.heard, ElementsAre("The store is away."));
}

TEST(FinishWaiters, OneMayWaitAgainWhileItIsAnswered) {
  TestBench bench;
  bench.waiters.add(bench.id, 1, 10s, [&](const Result<api::Operation>&) { bench.wait_for(2); });
  bench.tell(OperationStatus::kFailed, 1);
  EXPECT_THAT(bench.waiters.awaited(), ElementsAre(bench.id));
}

}  // namespace
}  // namespace ktrdr::services
