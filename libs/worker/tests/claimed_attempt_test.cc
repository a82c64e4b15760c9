#include "ktrdr/worker/claimed_attempt.h"

#include <gtest/gtest.h>

#include "ktrdr/checkpoints/testing/memory_checkpoint_store.h"
#include "ktrdr/client/testing/scripted_server.h"
#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/worker/server_link.h"

namespace ktrdr::worker {
namespace {

using client::testing::ScriptedAnswer;
using client::testing::ScriptedServer;
using training::StopRequest;

const std::string kBeat = "POST /api/v1/operations/op_1/heartbeat";
const ScriptedAnswer kTaken{200, R"({"cancel":false,"version":2})"};

ScriptedAnswer refusal(int status, const std::string& code) {
  return {status, R"({"success":false,"detail":"No.","error":{"code":")" + code +
                      R"(","message":"No.","details":{}}})"};
}

// An attempt and the servers that its worker was told of.
struct Bench {
  explicit Bench(std::vector<std::string> peers = {})
      : link(
            {.url = server.url()}, [](const std::string&) { return std::nullopt; }, std::move(peers)) {}

  ScriptedServer server;
  ktrdr::testing::ManualClock clock;
  checkpoints::testing::MemoryCheckpointStore store;
  ServerLink link;
  ClaimedAttempt attempt{clock, link, store, {.operation = {"op_1"}, .attempt = 1, .worker = {"worker-1"}}};
};

TEST(ClaimedAttempt, IsGivenUpWhenItsServerRefusesIt) {
  for (const auto& answer : {refusal(409, "STALE"), refusal(404, "NOT_FOUND")}) {
    Bench bench;
    bench.server.answer(kBeat, answer);
    EXPECT_FALSE(bench.attempt.heartbeat());
    EXPECT_EQ(bench.attempt.stop().requested(), StopRequest::kAbandon) << answer.body;
    EXPECT_TRUE(bench.attempt.has_given_up());
  }
}

// Another program got the port, or a proxy stands before a server that is away.
TEST(ClaimedAttempt, GoesOnWhenSomebodyElseAnswers) {
  for (const auto& answer :
       {ScriptedAnswer{404, "<html>Not Found</html>"}, ScriptedAnswer{404, R"({"detail":"Not Found"})"},
        refusal(404, "not_found"), refusal(404, "NO_SUCH_ROUTE"), ScriptedAnswer{405, ""},
        ScriptedAnswer{409, "{}"}, ScriptedAnswer{410, ""}, ScriptedAnswer{502, "Bad Gateway"}}) {
    Bench bench;
    bench.server.answer(kBeat, answer);
    bench.server.answer(kBeat, kTaken);
    EXPECT_FALSE(bench.attempt.heartbeat());
    EXPECT_FALSE(bench.attempt.stop().is_set()) << answer.status << answer.body;
    EXPECT_TRUE(bench.attempt.heartbeat()) << "its server is back";
  }
}

TEST(ClaimedAttempt, GoesOnWhenOneOfSeveralServersDoesNotKnowIt) {
  ScriptedServer stranger;
  stranger.answer(kBeat, refusal(404, "NOT_FOUND"));
  Bench bench({stranger.url()});
  bench.server.answer(kBeat, {.hang_up = true});
  bench.server.answer(kBeat, kTaken);
  EXPECT_FALSE(bench.attempt.heartbeat()) << "its server is away, and the other one is of another store";
  EXPECT_TRUE(bench.attempt.heartbeat());
  EXPECT_EQ(stranger.requests(kBeat).size(), 1u);
  EXPECT_FALSE(bench.attempt.stop().is_set());
}

TEST(ClaimedAttempt, IsGivenUpWhenOneOfSeveralServersKnowsThatItIsNotOurs) {
  ScriptedServer peer;
  peer.answer(kBeat, refusal(409, "STALE"));
  Bench bench({peer.url()});
  bench.server.answer(kBeat, refusal(404, "NOT_FOUND"));
  EXPECT_FALSE(bench.attempt.heartbeat());
  EXPECT_TRUE(bench.attempt.has_given_up());
}

// So that a start or a resume is seen soon, and not a whole interval after it.
TEST(ClaimedAttempt, SpeaksMoreOftenUntilItHasToldOfTraining) {
  Bench bench;
  const Duration interval = bench.attempt.assignment().heartbeat_interval;
  bench.server.answer(kBeat, {.hang_up = true});
  bench.server.answer(kBeat, kTaken);
  bench.attempt.report().set_phase(api::Phase::kTraining);
  EXPECT_FALSE(bench.attempt.heartbeat());
  EXPECT_EQ(bench.attempt.until_next_heartbeat(), interval / 4);
  EXPECT_TRUE(bench.attempt.heartbeat());
  EXPECT_EQ(bench.attempt.until_next_heartbeat(), interval);
  bench.attempt.report().set_phase(api::Phase::kSaving);
  EXPECT_TRUE(bench.attempt.heartbeat());
  EXPECT_EQ(bench.attempt.until_next_heartbeat(), interval);
}

}  // namespace
}  // namespace ktrdr::worker
