#include "ktrdr/training/local_training_orchestrator.h"

#include <map>

#include "ktrdr/api/json.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/strategy/testing/market_generator.h"
#include "ktrdr/strategy/testing/strategy_text.h"
#include "training_bench.h"

namespace ktrdr::training::testing {
namespace {

using strategy::testing::make_market;
using strategy::testing::write_market;

std::map<std::string, std::string> contents(const FinishedTraining& finished) {
  std::map<std::string, std::string> files;
  for (const checkpoints::FileContent& file : finished.files) {
    for (const auto& piece : file.pieces()) {
      files[file.name].append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
  }
  return files;
}

class OrchestratorTest : public ::testing::Test {
 protected:
  OrchestratorTest() {
    write_market(folder_.path(), make_market({}));
    assignment_.operation = {"op_training_1"};
    assignment_.attempt = 1;
    api::TrainingRequest& request = assignment_.request;
    request.strategy_yaml = strategy::testing::strategy_text();
    request.data_dir = folder_.path().string();
    request.end_ms = make_market({}).timestamps_ms.back();
    request.seed = 7;
    request.data_fingerprint = fingerprint();
  }

  std::string fingerprint() const {
    const auto parsed = strategy::parse_strategy(assignment_.request.strategy_yaml);
    EXPECT_THAT(parsed, IsOk());
    const auto dataset =
        strategy::prepare_dataset(*parsed, {.folder = folder_.path(), .end_ms = assignment_.request.end_ms});
    EXPECT_THAT(dataset, IsOk());
    return dataset->fingerprint;
  }

  Result<LocalTrainingOrchestrator> prepare() {
    return LocalTrainingOrchestrator::prepare(clock_, engines_, observer_, assignment_);
  }
  Result<FinishedTraining> train(std::optional<TrainingResumeContext> resume = std::nullopt) {
    TRY_ASSIGN(LocalTrainingOrchestrator orchestrator, prepare());
    if (resume) resume->identity = recorded_.value_or(orchestrator.identity());
    StopSignal stop;
    stop.request(stop_at_once_ ? StopRequest::kCancel : StopRequest::kNone);
    return orchestrator.run(sink_, stop, std::move(resume));
  }

  const ktrdr::testing::TemporaryFolder folder_;
  ManualClock clock_;
  FakeEngineFactory engines_;
  RecordingObserver observer_;
  MemoryCheckpointSink sink_;
  bool stop_at_once_ = false;
  TrainingAssignment assignment_;
  std::optional<std::map<std::string, std::string>> recorded_;
};

TEST_F(OrchestratorTest, TurnsARequestIntoAFinishedModel) {
  const auto finished = train();
  ASSERT_THAT(finished, IsOk());
  const auto files = contents(*finished);
  for (const char* name : {"model.safetensors", "strategy.yaml", "metrics.json", "test_report.json",
                           "features.json", "metadata.json", "timing.json"}) {
    EXPECT_TRUE(files.contains(name)) << name;
  }
  EXPECT_EQ(files.size(), 7U);
  EXPECT_EQ(files.at("strategy.yaml"), assignment_.request.strategy_yaml);
  const auto metrics = api::from_json<api::TrainingMetrics>(files.at("metrics.json"));
  ASSERT_THAT(metrics, IsOk());
  EXPECT_EQ(*metrics, finished->result.training_metrics);  // the shortest text that gives the same bits
  EXPECT_EQ(metrics->epochs_trained, 3);
  const auto features = api::from_json<api::FeaturesFile>(files.at("features.json"));
  ASSERT_THAT(features, IsOk());
  EXPECT_EQ(features->features.size(), 5U);
  const auto metadata = api::from_json<api::ModelMetadata>(files.at("metadata.json"));
  ASSERT_THAT(metadata, IsOk());
  EXPECT_EQ(metadata->data_summary.fingerprint, assignment_.request.data_fingerprint);
  EXPECT_EQ(api::member_of(metadata->identity, "engine"), "fake");
  EXPECT_EQ(finished->result.seed, 7);
}

TEST_F(OrchestratorTest, EqualRunsDifferInNothingButTheirTiming) {
  auto first = contents(*train());
  clock_.advance(std::chrono::hours(5));
  assignment_.operation = {"op_training_2"};
  assignment_.attempt = 4;
  auto second = contents(*train());
  EXPECT_NE(first.at("timing.json"), second.at("timing.json"));
  first.erase("timing.json");
  second.erase("timing.json");
  EXPECT_EQ(first, second);
}

TEST_F(OrchestratorTest, AResumedRunGivesTheFilesOfAnUndisturbedOne) {
  auto undisturbed = contents(*train());
  sink_.saved.clear();
  stop_at_once_ = true;
  const auto stopped = train();
  ASSERT_THAT(stopped, IsOk());
  EXPECT_EQ(stopped->outcome.kind, TrainingOutcome::Kind::kStopped);
  EXPECT_TRUE(stopped->files.empty());

  stop_at_once_ = false;
  auto context = resume_context(sink_.saved.back().snapshot);
  ASSERT_THAT(context, IsOk());
  auto resumed = contents(*train(std::move(context).value()));
  undisturbed.erase("timing.json");
  resumed.erase("timing.json");
  EXPECT_EQ(resumed, undisturbed);
}

TEST_F(OrchestratorTest, RefusesDataThatIsNotWhatTheRunWasStartedWith) {
  write_market(folder_.path(), make_market({.seed = 2}));
  EXPECT_THAT(prepare(), FailsWith(ErrorCode::kConflict));
  EXPECT_THAT(prepare(), SaysError("--allow-changes"));
  assignment_.request.allow_changes = true;
  EXPECT_THAT(prepare(), IsOk());
}

TEST_F(OrchestratorTest, DoesNotHeedRowsThatWereAppendedLater) {
  write_market(folder_.path(), make_market({.rows = 1200}));
  EXPECT_THAT(prepare(), IsOk());
}

TEST_F(OrchestratorTest, RefusesToGoOnWithAnotherStrategyAndSaysSo) {
  ASSERT_THAT(train(), IsOk());
  auto context = resume_context(sink_.saved.front().snapshot);
  recorded_ = prepare()->identity();
  assignment_.request.strategy_yaml += "# edited\n";
  const auto refused = train(std::move(context).value());
  EXPECT_THAT(refused, FailsWith(ErrorCode::kConflict));
  EXPECT_THAT(refused, SaysError("strategy_sha256"));
}

TEST_F(OrchestratorTest, RecordsStrategyDataSeedAndEngine) {
  const auto identity = prepare()->identity();
  EXPECT_EQ(identity.at("data_fingerprint"), assignment_.request.data_fingerprint);
  EXPECT_EQ(identity.at("seed"), "7");
  EXPECT_EQ(identity.at("engine"), "fake");
  EXPECT_EQ(identity.at("strategy_sha256").size(), 64U);
}

TEST_F(OrchestratorTest, PassesOnWhatIsWrongWithAStrategy) {
  assignment_.request.strategy_yaml += "surprise: 1\n";
  EXPECT_THAT(prepare(), FailsWith(ErrorCode::kInvalidArgument));
}

TEST_F(OrchestratorTest, ReportsThatItPrepares) {
  ASSERT_THAT(prepare(), IsOk());
  ASSERT_FALSE(observer_.progress.empty());
  for (const auto& [phase, progress] : observer_.progress) EXPECT_EQ(phase, api::Phase::kPreparing);
}

}  // namespace
}  // namespace ktrdr::training::testing
