#include "ktrdr/worker/worker_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ktrdr/checkpoints/testing/memory_checkpoint_store.h"
#include "ktrdr/client/testing/scripted_server.h"
#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/metrics/testing/exposition.h"
#include "ktrdr/training/model_trainer.h"
#include "ktrdr/training/testing/example_training.h"
#include "ktrdr/training/testing/fake_engine.h"
#include "ktrdr/training/testing/memory_checkpoint_sink.h"
#include "ktrdr/worker/claimed_attempt.h"
#include "ktrdr/worker/measured_server.h"
#include "ktrdr/worker/server_link.h"
#include "ticking_clock.h"

namespace ktrdr::worker {
namespace {

using client::testing::ScriptedAnswer;
using client::testing::ScriptedServer;
using metrics::Labels;
using metrics::testing::Exposition;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using namespace std::chrono_literals;

const std::string kPath = "POST /api/v1/operations/op_1/";
const ScriptedAnswer kApplied{200, R"({"success":true,"version":3})"};
const ScriptedAnswer kBeat{200, R"({"cancel":false,"version":2})"};
const ScriptedAnswer kCommitted{200, R"({"success":true,"dropped":[],"version":3})"};
const ScriptedAnswer kStale{
    409, R"({"success":false,"detail":"gone","error":{"code":"STALE","message":"gone","details":{}}})"};

training::TrainingSnapshot snapshot() {
  training::TrainingSnapshot taken;
  for (auto* tensors : {&taken.model, &taken.optimizer, &taken.trainer})
    tensors->put_scalar("x", std::int64_t{7});
  return taken;
}

// What a worker process counts with, and an attempt that is counted.
struct Bench {
  ScriptedServer server;
  ktrdr::testing::ManualClock clock;
  checkpoints::testing::MemoryCheckpointStore store;
  std::chrono::nanoseconds stopwatch{0};  // each look at it takes 40 microseconds
  metrics::Registry registry;
  WorkerMetrics counts{clock, [this] { return stopwatch += 40us; }, registry};
  ServerLink link{{.url = server.url()}, [](const std::string&) { return std::nullopt; }};
  MeasuredServer measured{clock, link, registry};

  double value(const std::string& name, const Labels& labels = {}) {
    const auto value = Exposition(registry.text()).value(name, labels);
    EXPECT_TRUE(value) << name;
    return value.value_or(-1);
  }
  double saves(const std::string& outcome) {
    return value("ktrdr_checkpoint_saves_total", {{"outcome", outcome}});
  }
  double stale_writes(const std::string& kind) {
    return value("ktrdr_stale_writes_refused_total", {{"kind", kind}});
  }
  double heartbeats(const std::string& outcome) {
    return value("ktrdr_heartbeats_total", {{"outcome", outcome}});
  }
};

struct BenchWithAttempt : Bench {
  ClaimedAttempt attempt{
      clock, measured, store, {.operation = {"op_1"}, .attempt = 1, .worker = {"worker-1"}}, counts};
  training::TrainingSnapshot taken = snapshot();

  CheckpointPipeline& pipeline() { return attempt.checkpoints(); }
  void take() { pipeline().enqueue(taken, api::CheckpointType::kPeriodic); }
  void save() {
    take();
    pipeline().step();
  }
};

TEST(WorkerMetrics, AllOfThemAreThereWithZeroFromTheStart) {
  Bench bench;
  const Exposition scrape(bench.registry.text());
  EXPECT_THAT(scrape.problems(), IsEmpty());
  EXPECT_GE(scrape.families().size(), 16u);
  for (const auto& sample : scrape.samples()) {
    EXPECT_THAT(sample.name, StartsWith("ktrdr_"));
    EXPECT_EQ(sample.value, 0) << sample.name;
  }
}

// ---- training ----

class CountedTraining : public ::testing::Test {
 protected:
  CountedTraining() { options_.checkpoints = {.every_epochs = 1, .every = 0s, .overhead_budget = 100}; }

  std::vector<training::testing::SavedCheckpoint> train(
      std::optional<training::TrainingResumeContext> resume = std::nullopt) {
    training::testing::FakeEngineFactory engines;
    const auto engine = engines.create(strategy_, dataset_, options_.seed);
    training::testing::MemoryCheckpointSink sink;
    RunReport report({}, bench_.counts);
    report.on_begin();
    report.on_progress({.current_step = "Preparing"}, api::Phase::kPreparing);  // as the orchestrator does
    const ktrdr::testing::TickingClock clock(1ms);  // most batches are too quick to be told of
    training::ModelTrainer trainer(clock, **engine, strategy_, dataset_, sink, report, options_,
                                   std::move(resume));
    EXPECT_THAT(trainer.train(training::StopSignal()), ktrdr::testing::IsOk());
    report.on_end(AttemptEnd::kCompleted);
    return std::move(sink.saved);
  }
  double rows(std::int64_t epochs) const {
    return static_cast<double>(epochs * static_cast<std::int64_t>(dataset_.train.size()));
  }

  Bench bench_;
  const strategy::Strategy strategy_ = training::testing::example_strategy();  // 4 epochs, batches of 16
  const strategy::Dataset dataset_ = training::testing::example_dataset();
  training::ModelTrainerOptions options_;
};

TEST_F(CountedTraining, EverySampleBatchAndEpochIsCountedOnce) {
  train();
  EXPECT_EQ(bench_.value("ktrdr_training_samples_total"), rows(4));
  EXPECT_EQ(bench_.value("ktrdr_training_batches_total"), 4 * 6);
  EXPECT_EQ(bench_.value("ktrdr_training_epochs_total"), 4);
  train();
  EXPECT_EQ(bench_.value("ktrdr_training_samples_total"), rows(8)) << "and so are those of the next training";
}

TEST_F(CountedTraining, AResumeCountsOnlyWhatItTrainsItself) {
  const auto saved = train();
  ASSERT_EQ(saved.at(1).snapshot.position.start_epoch, 1);
  auto resume = training::resume_context(saved[1].snapshot);
  ASSERT_THAT(resume, ktrdr::testing::IsOk());
  train(*std::move(resume));
  EXPECT_EQ(bench_.value("ktrdr_training_samples_total"), rows(4 + 3));
  EXPECT_EQ(bench_.value("ktrdr_training_epochs_total"), 4 + 3);
}

// The first one is taken before training begins, so nothing waits for it.
TEST_F(CountedTraining, APauseIsMeasuredForEachCheckpointThatTrainingWaitedFor) {
  const auto saved = train();
  const auto in_background =
      std::count_if(saved.begin(), saved.end(), [](const auto& one) { return one.in_background; });
  EXPECT_GE(in_background, 3);
  EXPECT_EQ(bench_.value("ktrdr_checkpoint_pause_seconds_count"), in_background);
  EXPECT_NEAR(bench_.value("ktrdr_checkpoint_pause_seconds_sum"), 40e-6 * static_cast<double>(in_background),
              1e-9);
  EXPECT_EQ(bench_.value("ktrdr_checkpoint_pause_seconds_bucket", {{"le", "2.5e-05"}}), 0);
  EXPECT_EQ(bench_.value("ktrdr_checkpoint_pause_seconds_bucket", {{"le", "5e-05"}}), in_background);
}

TEST(WorkerMetrics, OnlyTrainingAndValidatingIsTimeSpentTraining) {
  Bench bench;
  const auto passes_in = [&](api::Phase phase, Duration time) {
    bench.counts.on_progress({}, phase);
    bench.clock.advance(time);
  };
  bench.counts.on_begin();
  bench.clock.advance(100s);
  passes_in(api::Phase::kSaving, 20s);
  passes_in(api::Phase::kTraining, 5s);
  EXPECT_EQ(bench.value("ktrdr_training_seconds_total"), 5) << "also of a phase that has not ended";
  EXPECT_EQ(bench.value("ktrdr_training_active"), 1);
  passes_in(api::Phase::kValidating, 2s);
  passes_in(api::Phase::kEvaluating, 50s);
  EXPECT_EQ(bench.value("ktrdr_training_seconds_total"), 7);
  passes_in(api::Phase::kTraining, 1s);
  bench.counts.on_end(AttemptEnd::kFailed);
  bench.clock.advance(1000s);
  EXPECT_EQ(bench.value("ktrdr_training_seconds_total"), 8);
  EXPECT_EQ(bench.value("ktrdr_training_active"), 0);
}

// ---- checkpoints ----

TEST(WorkerMetrics, ACommittedCheckpointIsCountedWithItsBytesAndItsTime) {
  BenchWithAttempt bench;
  bench.server.answer(kPath + "checkpoints", kCommitted);
  bench.take();
  bench.clock.advance(2s);
  bench.pipeline().step();
  EXPECT_EQ(bench.saves("committed"), 1);
  EXPECT_EQ(bench.saves("failed") + bench.saves("superseded"), 0);
  const auto commit =
      *api::from_json<api::CommitCheckpointRequest>(bench.server.requests(kPath + "checkpoints").at(0).body);
  EXPECT_GT(commit.checkpoint.size_bytes, 0);
  EXPECT_EQ(bench.value("ktrdr_checkpoint_bytes_total"), static_cast<double>(commit.checkpoint.size_bytes));
  EXPECT_EQ(bench.value("ktrdr_checkpoint_commit_seconds_count"), 1);
  EXPECT_EQ(bench.value("ktrdr_checkpoint_commit_seconds_sum"), 2);
}

TEST(WorkerMetrics, AFailedSaveIsCountedAndTheLastGoodOneGrowsOld) {
  BenchWithAttempt bench;
  bench.server.answer(kPath + "checkpoints", kCommitted);
  bench.save();
  const double bytes = bench.value("ktrdr_checkpoint_bytes_total");
  bench.clock.advance(7s);
  bench.store.fail_next_put({ErrorCode::kIo, "No space left on device."});
  bench.save();
  EXPECT_EQ(bench.saves("failed"), 1);
  EXPECT_EQ(bench.saves("committed"), 1);
  EXPECT_EQ(bench.value("ktrdr_checkpoint_bytes_total"), bytes);
  EXPECT_EQ(bench.value("ktrdr_checkpoint_age_seconds"), 7);
  bench.take();
  bench.clock.advance(3s);
  bench.pipeline().step();
  EXPECT_EQ(bench.value("ktrdr_checkpoint_age_seconds"), 3) << "what came after the copy would be lost";
}

TEST(WorkerMetrics, WhileTheServerIsAwayOneThatANewerReplacedIsSuperseded) {
  BenchWithAttempt bench;
  bench.server.go_down();
  for (int i = 0; i < 3; ++i) bench.save();
  EXPECT_EQ(bench.saves("superseded"), 1);
  EXPECT_EQ(bench.saves("committed") + bench.saves("failed"), 0);
  bench.clock.advance(9s);
  EXPECT_EQ(bench.value("ktrdr_checkpoint_age_seconds"), 9) << "written is not acknowledged";
  bench.server.answer(kPath + "checkpoints", kCommitted);
  bench.server.come_back();
  for (int i = 0; i < 2; ++i) bench.pipeline().step();
  EXPECT_EQ(bench.saves("committed"), 2);
}

// ---- what the server says ----

TEST(WorkerMetrics, AWriteThatIsRefusedAsStaleIsNoFailureAndEndsTheAttempt) {
  BenchWithAttempt bench;
  bench.server.answer(kPath + "checkpoints", kStale);
  bench.save();
  EXPECT_EQ(bench.stale_writes("checkpoint"), 1);
  EXPECT_EQ(bench.saves("failed"), 0);
  EXPECT_EQ(bench.value("ktrdr_training_active"), 1);
  EXPECT_FALSE(bench.attempt.conclude(Error(ErrorCode::kStale, "gone"), {}));
  EXPECT_EQ(bench.value("ktrdr_attempts_ended_total", {{"outcome", "refused"}}), 1);
  EXPECT_EQ(bench.value("ktrdr_training_active"), 0);
}

TEST(WorkerMetrics, HeartbeatsAreCountedByTheirAnswerAndTheLeaseGrowsOldWithoutOne) {
  BenchWithAttempt bench;
  bench.server.answer(kPath + "claim", {200, api::to_json(api::ClaimAnswer{})});
  for (const auto& answer : {kBeat, ScriptedAnswer{502, "Bad Gateway"}, kStale}) {
    bench.server.answer(kPath + "heartbeat", answer);
  }
  EXPECT_EQ(bench.value("ktrdr_heartbeat_age_seconds"), 0);
  ASSERT_THAT(bench.measured.claim({"op_1"}, {}), ktrdr::testing::IsOk());
  bench.clock.advance(2s);
  EXPECT_EQ(bench.value("ktrdr_heartbeat_age_seconds"), 2) << "a claim is a sign of life too";
  bench.attempt.heartbeat();
  bench.clock.advance(3s);
  EXPECT_EQ(bench.heartbeats("accepted"), 1);
  EXPECT_EQ(bench.value("ktrdr_heartbeat_age_seconds"), 3);
  bench.attempt.heartbeat();
  EXPECT_EQ(bench.heartbeats("failed"), 1);
  EXPECT_EQ(bench.value("ktrdr_heartbeat_age_seconds"), 3) << "nobody answered";
  bench.attempt.heartbeat();
  EXPECT_EQ(bench.heartbeats("refused"), 1);
  EXPECT_EQ(bench.stale_writes("heartbeat"), 1);
  EXPECT_EQ(bench.value("ktrdr_heartbeat_age_seconds"), 0) << "there is no lease any more";
}

TEST(WorkerMetrics, AHeartbeatThatIsAnsweredAfterTheLastWordBeginsNoLease) {
  BenchWithAttempt bench;
  bench.server.answer(kPath + "claim", {200, api::to_json(api::ClaimAnswer{})});
  bench.server.answer(kPath + "complete", kApplied);
  bench.server.answer(kPath + "heartbeat", kBeat);
  ASSERT_THAT(bench.measured.claim({"op_1"}, {}), ktrdr::testing::IsOk());
  ASSERT_THAT(bench.measured.complete({"op_1"}, {}), ktrdr::testing::IsOk());
  bench.attempt.heartbeat();
  bench.clock.advance(60s);
  EXPECT_EQ(bench.heartbeats("accepted"), 1);
  EXPECT_EQ(bench.value("ktrdr_heartbeat_age_seconds"), 0);
}

TEST(WorkerMetrics, AnAcceptedRewindIsAFallBack) {
  Bench bench;
  bench.server.answer(kPath + "rewind", kStale);
  bench.server.answer(kPath + "rewind", kCommitted);
  EXPECT_FALSE(bench.measured.rewind({"op_1"}, {}).ok());
  EXPECT_EQ(bench.value("ktrdr_checkpoint_fallbacks_total"), 0);
  EXPECT_TRUE(bench.measured.rewind({"op_1"}, {}).ok());
  EXPECT_EQ(bench.value("ktrdr_checkpoint_fallbacks_total"), 1);
}

TEST(WorkerMetrics, AServerIsReachableWhenItTookTheLastRegistration) {
  Bench bench;
  bench.measured.note_registration(true);
  EXPECT_EQ(bench.value("ktrdr_server_reachable"), 1);
  bench.measured.note_registration(false);
  EXPECT_EQ(bench.value("ktrdr_server_reachable"), 0);
}

// ---- the end ----

void expect_ended(Bench& bench, const std::string& outcome) {
  const Exposition scrape(bench.registry.text());
  EXPECT_EQ(scrape.value("ktrdr_attempts_ended_total", {{"outcome", outcome}}), 1) << outcome;
  EXPECT_EQ(scrape.sum("ktrdr_attempts_ended_total"), 1) << outcome;
  EXPECT_EQ(scrape.value("ktrdr_training_active"), 0) << outcome;
}

TEST(WorkerMetrics, AnAttemptEndsAsTheServerHeardIt) {
  const std::vector<std::tuple<LastWord, ScriptedAnswer, std::string>> cases = {
      {api::CompleteRequest{}, kApplied, "completed"},
      {api::CompleteRequest{}, kStale, "refused"},
      {api::FailRequest{}, kApplied, "failed"},
      {api::StoppedRequest{.reason = api::StopReason::kCancelled}, kApplied, "cancelled"},
      {api::StoppedRequest{.reason = api::StopReason::kShutdown}, kApplied, "handed_back"},
      {api::StoppedRequest{.reason = api::StopReason::kShutdown}, kStale, "refused"}};
  for (const auto& [word, answer, outcome] : cases) {
    BenchWithAttempt bench;
    for (const char* route : {"complete", "fail", "stopped"}) bench.server.answer(kPath + route, answer);
    EXPECT_EQ(bench.value("ktrdr_training_active"), 1);
    bench.attempt.tell(word, [](Duration) { ADD_FAILURE() << "there was an answer"; });
    expect_ended(bench, outcome);
  }
}

TEST(WorkerMetrics, AnAttemptWhoseServerStaysAwayEndsUnheard) {
  BenchWithAttempt bench;
  bench.server.go_down();
  bench.attempt.shut_down(bench.clock.monotonic() + 1s, bench.clock.monotonic() + 2s);
  bench.attempt.tell(api::StoppedRequest{}, [&](Duration pause) { bench.clock.advance(pause); });
  expect_ended(bench, "unheard");
}

}  // namespace
}  // namespace ktrdr::worker
