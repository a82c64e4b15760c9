// Following an operation over scripted sequences: progress, outages, endings, Ctrl+C.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "ktrdr/api/operation.h"
#include "signal_pause.h"
#include "test_bench.h"

namespace ktrdr::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kGet = "GET /api/v1/operations/op_1";
constexpr const char* kCancel = "DELETE /api/v1/operations/op_1";

class Follow : public ::testing::Test {
 protected:
  void script(const std::vector<std::string>& bodies) {
    for (const std::string& body : bodies) bench_.server.answer(kGet, {200, body});
  }
  void script_start() {
    bench_.server.answer("POST /api/v1/trainings/start",
                         {200, R"({"success":true,"task_id":"op_1","workers_connected":1})"});
  }
  void interrupt_at_wait(int wait) {
    bench_.script.at_wait[wait] = [this] { bench_.script.interrupted = true; };
  }
  void script_cancel() {
    bench_.server.answer(kCancel,
                         {202, R"({"success":true,"data":{"operation_id":"op_1","status":"running"}})"});
  }
  TestBench bench_;
};

TEST_F(Follow, PrintsOneLineForEachNewEpochAndTheResult) {
  script({running_operation(0, 1), running_operation(0, 5), running_operation(1, 10),
          running_operation(1, 12), completed_operation()});
  EXPECT_EQ(bench_.run({"follow", "op_1"}), 0);
  EXPECT_THAT(
      bench_.err.str(),
      HasSubstr("1.0 %  epoch 1/10  train 0.7000  val 0.6500  best 0.6000  12.3k samples/s  ETA 1m 05s  "
                "training\n10.0 %  epoch 2/10  "));
  EXPECT_THAT(bench_.err.str(), Not(HasSubstr("5.0 %")));
  EXPECT_THAT(bench_.err.str(), Not(HasSubstr("12.0 %")));
  EXPECT_THAT(bench_.err.str(), Not(HasSubstr("\r")));
  EXPECT_THAT(bench_.out.str(), HasSubstr("model          /m/op_1/1\n"));
  EXPECT_EQ(bench_.script.waits, 4) << "0.3 s between two looks";
}

TEST_F(Follow, DrawsTheBarInPlaceOnATerminal) {
  bench_.is_terminal = true;
  script({running_operation(4, 42), completed_operation()});
  EXPECT_EQ(bench_.run({"follow", "op_1"}), 0);
  EXPECT_THAT(bench_.err.str(), HasSubstr("\r\x1b[K[########------------] 42.0 %  epoch 5/10"));
  for (std::size_t at = 0; at < bench_.err.str().size();) {
    const std::size_t end = std::min(bench_.err.str().find('\r', at + 1), bench_.err.str().size());
    EXPECT_LT(end - at, 80U + 5U) << "a line that wraps can't be drawn over";
    at = end;
  }
}

TEST_F(Follow, AsJsonIsOneDocument) {
  script({running_operation(0, 1), completed_operation()});
  EXPECT_EQ(bench_.run({"follow", "op_1", "--json"}), 0);
  const auto operation = api::from_json<api::Operation>(bench_.out.str());
  ASSERT_TRUE(operation.ok());
  EXPECT_EQ(operation->status, api::OperationStatus::kCompleted);
}

TEST_F(Follow, AFailedTrainingIsExitCode1AndSaysHowToResume) {
  script({running_operation(0, 1), ended_operation("failed")});
  EXPECT_EQ(bench_.run({"follow", "op_1"}), 1);
  EXPECT_THAT(bench_.out.str(), HasSubstr("Worker w_1 fell silent."));
  EXPECT_THAT(bench_.err.str(), HasSubstr("resume with: ktrdr resume op_1\n"));
}

TEST_F(Follow, ATrainingThatSomebodyElseCancelledIsExitCode1) {
  script({ended_operation("cancelled")});
  EXPECT_EQ(bench_.run({"follow", "op_1"}), 1);
  EXPECT_THAT(bench_.err.str(), HasSubstr("resume with: ktrdr resume op_1\n"));
}

TEST_F(Follow, AnUnknownOperationIsExitCode3) {
  bench_.refuse(kGet, 404, "NOT_FOUND");
  EXPECT_EQ(bench_.run({"follow", "op_1"}), 3);
  EXPECT_EQ(bench_.script.waits, 0);
}

TEST_F(Follow, SaysWhyAQueuedOperationWaits) {
  script({queued_operation(), queued_operation(), running_operation(0, 1), completed_operation()});
  bench_.server.answer("GET /api/v1/health", {200, R"({"workers_connected":0})"});
  bench_.server.answer("GET /api/v1/health", {200, R"({"workers_connected":1})"});
  EXPECT_EQ(bench_.run({"follow", "op_1"}), 0);
  EXPECT_THAT(bench_.err.str(),
              HasSubstr("queued: no worker is connected\nqueued: it starts when a worker is free\n"));
}

TEST_F(Follow, ShowsEachWarningOnce) {
  const std::string warned =
      R"({"success":true,"data":{"operation_id":"op_1","status":"running","created_at":"T","warnings":["Slow."]}})";
  script({warned, warned, completed_operation()});
  EXPECT_EQ(bench_.run({"follow", "op_1"}), 0);
  const std::string err = bench_.err.str();
  EXPECT_THAT(err, HasSubstr("Warning: Slow.\n"));
  EXPECT_EQ(err.find("Slow."), err.rfind("Slow."));
}

// ---- the server goes away ----

TEST_F(Follow, SurvivesARestartOfTheServer) {
  script({running_operation(0, 1), running_operation(1, 10), completed_operation()});
  bench_.script.at_wait[1] = [this] { bench_.server.go_down(); };
  bench_.script.at_wait[100] = [this] { bench_.server.come_back(); };  // after 30 s
  EXPECT_EQ(bench_.run({"follow", "op_1"}), 0);
  EXPECT_THAT(bench_.err.str(), HasSubstr("The server does not answer; the training goes on without it."));
  EXPECT_THAT(bench_.err.str(), HasSubstr("The server is back.\n"));
  EXPECT_THAT(bench_.out.str(), HasSubstr("completed"));
}

TEST_F(Follow, GivesUpAfterAMinuteWithExitCode5) {
  script({running_operation(0, 1)});
  bench_.script.at_wait[1] = [this] { bench_.server.go_down(); };
  EXPECT_EQ(bench_.run({"follow", "op_1"}), 5);
  EXPECT_NEAR(bench_.script.waits, 201, 2) << "60 s in steps of 0.3 s";
  EXPECT_THAT(bench_.err.str(), HasSubstr("Is `ktrdr serve` running?"));
}

TEST_F(Follow, TwoShortOutagesAreNotOneLongOne) {
  script({running_operation(0, 1), running_operation(1, 2), running_operation(2, 3), completed_operation()});
  bench_.script.at_wait[1] = [this] { bench_.server.go_down(); };
  bench_.script.at_wait[150] = [this] { bench_.server.come_back(); };
  bench_.script.at_wait[151] = [this] { bench_.server.go_down(); };
  bench_.script.at_wait[300] = [this] { bench_.server.come_back(); };
  EXPECT_EQ(bench_.run({"follow", "op_1"}), 0);
}

TEST_F(Follow, AfterAStartEvenTheFirstLookMayMeetARestart) {
  script_start();
  bench_.refuse(kGet, 503, "UNAVAILABLE");
  script({completed_operation()});
  EXPECT_EQ(bench_.run({"train", "momentum", "--follow"}), 0);
}

// ---- Ctrl+C ----

TEST_F(Follow, CtrlCInFollowOnlyDetaches) {
  script({running_operation(0, 1)});
  interrupt_at_wait(2);
  EXPECT_EQ(bench_.run({"follow", "op_1"}), 0);
  EXPECT_THAT(bench_.err.str(), HasSubstr("Stopped watching; the training goes on."));
  EXPECT_THAT(bench_.server.requests("DELETE"), IsEmpty());
}

TEST_F(Follow, CtrlCInTrainCancelsOnceAndWaitsForTheCheckpoint) {
  script_start();
  script_cancel();
  script({running_operation(0, 1), running_operation(0, 2), running_operation(0, 2),
          ended_operation("cancelled")});
  interrupt_at_wait(1);
  EXPECT_EQ(bench_.run({"train", "momentum", "--follow"}), 130);
  EXPECT_EQ(bench_.server.requests("DELETE").size(), 1U);
  EXPECT_THAT(bench_.err.str(), HasSubstr("Cancelling op_1: it saves a checkpoint first."));
  EXPECT_THAT(bench_.err.str(), HasSubstr("resume with: ktrdr resume op_1\n"));
  EXPECT_THAT(bench_.out.str(), HasSubstr("status      cancelled\n"));
}

TEST_F(Follow, CtrlCInResumeCancelsToo) {
  bench_.server.answer("POST /api/v1/operations/op_1/resume",
                       {200, R"({"success":true,"data":{"operation_id":"op_1"}})"});
  script_cancel();
  script({running_operation(0, 1), running_operation(0, 2), ended_operation("cancelled")});
  interrupt_at_wait(1);
  EXPECT_EQ(bench_.run({"resume", "op_1", "--follow"}), 130);
}

TEST_F(Follow, ATrainingThatCompletesBeforeTheCancelArrivesIsAGoodOne) {
  script_start();
  bench_.refuse(kCancel, 409, "CONFLICT");
  script({running_operation(0, 1), running_operation(9, 99), completed_operation()});
  interrupt_at_wait(1);
  EXPECT_EQ(bench_.run({"train", "momentum", "--follow"}), 0);
  EXPECT_EQ(bench_.server.requests("DELETE").size(), 1U);
}

TEST_F(Follow, ACancelThatTheServerDidNotGetIsSentWhenItIsBack) {
  script_start();
  script_cancel();
  script({running_operation(0, 1), running_operation(0, 2), ended_operation("cancelled")});
  bench_.script.at_wait[1] = [this] {
    bench_.server.go_down();
    bench_.script.interrupted = true;
  };
  bench_.script.at_wait[10] = [this] { bench_.server.come_back(); };
  EXPECT_EQ(bench_.run({"train", "momentum", "--follow"}), 130);
  EXPECT_EQ(bench_.server.requests("DELETE").size(), 1U);
}

TEST(SignalPause, NotesTheFirstCtrlCAndEndsTheWait) {
  SignalPause pause;
  EXPECT_FALSE(pause.is_interrupted());
  raise(SIGINT);
  EXPECT_TRUE(pause.is_interrupted());
  const SystemClock clock;
  const Duration before = clock.monotonic();
  pause.wait(Duration(60'000));
  EXPECT_LT(clock.monotonic() - before, Duration(30'000));
}

TEST(SignalPause, ASecondCtrlCEndsTheProcessAtOnce) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        SignalPause pause;
        raise(SIGINT);
        raise(SIGINT);
      },
      ::testing::ExitedWithCode(130), "");
}

TEST(SignalPause, GivesTheSignalBack) {
  struct sigaction before {};
  sigaction(SIGINT, nullptr, &before);
  { SignalPause pause; }
  struct sigaction after {};
  sigaction(SIGINT, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

}  // namespace
}  // namespace ktrdr::cli
