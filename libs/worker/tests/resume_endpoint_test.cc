// POST /training/resume of a whole worker: its HTTP server, real checkpoint files, an engine that really
// trains. A scripted server plays the control plane.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <latch>
#include <thread>

#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/client/http_client.h"
#include "ktrdr/client/testing/scripted_server.h"
#include "ktrdr/client/worker_client.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/metrics/testing/exposition.h"
#include "ktrdr/strategy/testing/market_generator.h"
#include "ktrdr/strategy/testing/strategy_text.h"
#include "ktrdr/training/local_training_orchestrator.h"
#include "ktrdr/training/testing/fake_engine.h"
#include "ktrdr/training/testing/memory_checkpoint_sink.h"
#include "ktrdr/training/testing/recording_observer.h"
#include "ktrdr/worker/worker_process.h"

namespace ktrdr::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const OperationId kOperation{"op_training_1"};
const std::string kPath = "/api/v1/operations/" + kOperation.value;

// So many epochs that no test sees their end.
std::string endless_strategy() { return strategy::testing::strategy_text({.epochs = 100'000}); }

class ResumeEndpoint : public ::testing::Test {
 protected:
  ResumeEndpoint() {
    strategy::testing::write_market(folder_.path(), strategy::testing::make_market({}));
    request_.strategy_yaml = endless_strategy();
    request_.data_dir = folder_.path().string();
    request_.end_ms = strategy::testing::make_market({}).timestamps_ms.back();
    request_.seed = 7;
    request_.checkpoint_every_epochs = 1;
    auto store = checkpoints::FileCheckpointStore::open(folder_ / "checkpoints");
    EXPECT_THAT(store, testing::IsOk());
    store_.emplace(std::move(store).value());
    server_.answer("POST /api/v1/workers/register", {200, api::to_json(api::WorkerInfo{})});
    server_.answer("POST " + kPath + "/claim",
                   {200, api::to_json(api::ClaimAnswer{.current_checkpoint = CheckpointRef{1, 2},
                                                       .next_sequence = 3,
                                                       .heartbeat_interval_ms = 20})});
    server_.answer("POST " + kPath + "/heartbeat", {200, api::to_json(api::HeartbeatAnswer{})});
    server_.answer("POST " + kPath + "/checkpoints", {200, api::to_json(api::CommitCheckpointAnswer{})});
    server_.answer("POST " + kPath + "/stopped", {200, api::to_json(api::AppliedAnswer{})});
  }

  // The files of checkpoint 1-`sequence`, as an earlier attempt left them after its 10th epoch.
  void leave_checkpoint(std::int64_t sequence) {
    training::testing::RecordingObserver nobody;
    auto orchestrator = training::LocalTrainingOrchestrator::prepare(
        clock_, engines_, nobody, {kOperation, 1, request_without_fence()});
    ASSERT_THAT(orchestrator, testing::IsOk());
    training::StopSignal stop;
    StopAfterEpochs sink(stop, 10);
    ASSERT_THAT(orchestrator->run(sink, stop), testing::IsOk());
    const training::TrainingSnapshot& snapshot = sink.saved.back().snapshot;
    auto files = training::snapshot_files(snapshot);
    ASSERT_THAT(files, testing::IsOk());
    ASSERT_THAT(store_->put({{.operation = kOperation,
                              .ref = {1, sequence},
                              .epoch = snapshot.position.epoch(),
                              .start_epoch = snapshot.position.start_epoch,
                              .start_batch = snapshot.position.start_batch,
                              .global_step = snapshot.global_step,
                              .identity = orchestrator->identity()},
                             std::move(files).value()}),
                testing::IsOk());
    kept_.insert(kept_.begin(), {.ref = {1, sequence},
                                 .epoch = snapshot.position.epoch(),
                                 .start_epoch = snapshot.position.start_epoch,
                                 .start_batch = snapshot.position.start_batch});
    request_.data_fingerprint = orchestrator->dataset().fingerprint;
    tell_the_job();
  }

  void tell_the_job() {
    server_.answer("GET " + kPath + "/job",
                   {200, api::to_json(api::TrainingJob{.operation_id = kOperation.value,
                                                       .attempt = 2,
                                                       .status = api::OperationStatus::kRunning,
                                                       .request = request_,
                                                       .checkpoints = kept_})});
  }

  std::filesystem::path file(std::int64_t sequence, std::string_view name) const {
    return folder_ / "checkpoints" / kOperation.value / CheckpointRef{1, sequence}.to_string() / name;
  }

  void start_worker() {
    WorkerOptions options;
    options.server.url = server_.url();
    options.data_dir = folder_ / "data";
    options.checkpoints = folder_ / "checkpoints";
    auto started = WorkerProcess::start(clock_, engines_, std::move(options),
                                        [](const std::string&) { return std::nullopt; });
    ASSERT_THAT(started, testing::IsOk());
    worker_ = std::move(started).value();
  }

  client::HttpAnswer ask(const std::string& method, const std::string& target, const std::string& body = "") {
    const auto answer = http_.request({.method = method,
                                       .url = "http://127.0.0.1:" + std::to_string(worker_->port()) + target,
                                       .body = body});
    EXPECT_TRUE(answer.ok());
    return answer.ok() ? *answer : client::HttpAnswer{};
  }
  client::HttpAnswer resume() {
    return ask("POST", "/training/resume", R"({"operation_id":")" + kOperation.value + R"("})");
  }

  std::vector<client::testing::SeenRequest> claims() { return server_.requests("POST " + kPath + "/claim"); }

  // Stops the training and waits until the server has heard of it.
  api::StoppedRequest stop_training() {
    EXPECT_EQ(ask("DELETE", kPath + "/cancel").status, 200);
    EXPECT_EQ(worker_->shut_down(std::chrono::seconds(20)), ShutDown::kHandedBack);
    const auto stopped = server_.requests("POST " + kPath + "/stopped");
    EXPECT_THAT(stopped, ::testing::Not(IsEmpty()));
    if (stopped.empty()) return {};
    return *api::from_json<api::StoppedRequest>(stopped.back().body);
  }

 private:
  // Asks for a stop when so many epochs are complete; what is saved then is the point of the stop.
  class StopAfterEpochs final : public training::CheckpointSink {
   public:
    StopAfterEpochs(training::StopSignal& stop, std::int64_t epochs) : stop_(stop), epochs_(epochs) {}
    bool idle() const override { return true; }
    void wait_until_idle() override {}
    void save_in_background(const training::TrainingSnapshot& snapshot, api::CheckpointType) override {
      if (snapshot.position.start_epoch >= epochs_) stop_.request(training::StopRequest::kCancel);
    }
    Result<void> save_now(const training::TrainingSnapshot& snapshot, api::CheckpointType type) override {
      saved.push_back({type, false, snapshot});
      return {};
    }
    std::vector<training::testing::SavedCheckpoint> saved;

   private:
    training::StopSignal& stop_;
    const std::int64_t epochs_;
  };

  // Of an earlier attempt: what its data was is what we pin.
  api::TrainingRequest request_without_fence() {
    api::TrainingRequest request = request_;
    const auto parsed = strategy::parse_strategy(request.strategy_yaml);
    EXPECT_THAT(parsed, testing::IsOk());
    request.data_fingerprint =
        strategy::prepare_dataset(*parsed, {.folder = folder_.path(), .end_ms = request.end_ms})->fingerprint;
    return request;
  }

 protected:
  const testing::TemporaryFolder folder_;
  SystemClock clock_;
  training::testing::FakeEngineFactory engines_;
  client::testing::ScriptedServer server_;
  client::HttpClient http_;
  api::TrainingRequest request_;
  std::vector<api::CheckpointInfo> kept_;
  std::optional<checkpoints::FileCheckpointStore> store_;
  std::unique_ptr<WorkerProcess> worker_;
};

TEST_F(ResumeEndpoint, AnswersStartedWithTheEpochAndTrainsOnInTheBackground) {
  leave_checkpoint(2);
  start_worker();
  const auto answer = resume();
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto started = api::from_json<api::TrainingStartedResponse>(answer.body);
  ASSERT_THAT(started, testing::IsOk());
  EXPECT_TRUE(started->success);
  EXPECT_EQ(started->operation_id, kOperation.value);
  EXPECT_EQ(started->status, "started");
  EXPECT_EQ(started->resumed_from_epoch, kept_.front().start_epoch - 1);
  EXPECT_GE(*started->resumed_from_epoch, 9);
  // The training never ends by itself, and yet the answer is here.
  EXPECT_THAT(ask("GET", "/health").body, HasSubstr("\"busy\""));
  EXPECT_GE(stop_training().progress.context.epoch, kept_.front().start_epoch);
}

// The server's own client, so that both sides mean the same request.
TEST_F(ResumeEndpoint, TheServersCancelIsTaken) {
  leave_checkpoint(2);
  start_worker();
  ASSERT_EQ(resume().status, 200);
  client::WorkerClient server("");
  EXPECT_THAT(server.cancel({"http://127.0.0.1:" + std::to_string(worker_->port())}, kOperation),
              testing::IsOk());
  stop_training();
}

TEST_F(ResumeEndpoint, ClaimsTheAttemptOnceAndNamesItEver) {
  leave_checkpoint(2);
  start_worker();
  ASSERT_EQ(resume().status, 200);
  const auto stopped = stop_training();
  ASSERT_THAT(claims(), SizeIs(1));
  const auto claim = *api::from_json<api::ClaimRequest>(claims().front().body);
  EXPECT_EQ(claim.attempt, 2);
  EXPECT_EQ(stopped.attempt, 2);
  EXPECT_EQ(stopped.worker_id, claim.worker_id);
}

TEST_F(ResumeEndpoint, SentTwiceAtOnceItIsTakenOnceAndLaterCopiesAreRefused) {
  leave_checkpoint(2);
  start_worker();
  std::vector<int> statuses(2);
  std::latch ready(2);
  {
    std::vector<std::jthread> clients;
    for (int& status : statuses) {
      clients.emplace_back([&] {
        ready.arrive_and_wait();
        status = resume().status;
      });
    }
  }
  std::sort(statuses.begin(), statuses.end());
  EXPECT_EQ(statuses, (std::vector<int>{200, 409}));
  EXPECT_EQ(resume().status, 409) << "it is busy";
  EXPECT_EQ(ask("POST", "/training/start", R"({"operation_id":"op_other"})").status, 409);
  stop_training();
  EXPECT_THAT(claims(), SizeIs(1));
}

TEST_F(ResumeEndpoint, ABodyWithoutAnOperationIsRefused) {
  start_worker();
  for (const char* body : {"{}", "", R"({"operation_id":7})"}) {
    EXPECT_EQ(ask("POST", "/training/resume", body).status, 400) << body;
  }
  EXPECT_THAT(server_.requests("GET " + kPath), IsEmpty());
}

TEST_F(ResumeEndpoint, WithoutACheckpointItIsA404AndNothingIsClaimed) {
  tell_the_job();
  start_worker();
  const auto answer = resume();
  EXPECT_EQ(answer.status, 404);
  EXPECT_THAT(answer.body, HasSubstr("checkpoint"));
  EXPECT_THAT(answer.body, HasSubstr(kOperation.value));
  EXPECT_THAT(claims(), IsEmpty());
}

TEST_F(ResumeEndpoint, ACheckpointWhoseFilesAreGoneIsA404) {
  leave_checkpoint(2);
  std::filesystem::remove_all(folder_ / "checkpoints" / kOperation.value);
  start_worker();
  const auto answer = resume();
  EXPECT_EQ(answer.status, 404) << answer.body;
  EXPECT_THAT(answer.body, HasSubstr("CHECKPOINT_NOT_FOUND"));
  EXPECT_THAT(claims(), IsEmpty());
}

TEST_F(ResumeEndpoint, AMissingAnEmptyOrADamagedFileIsA422ThatNamesItAndNothingIsClaimed) {
  leave_checkpoint(2);
  start_worker();
  const std::vector<std::pair<std::string, std::function<void(std::string&)>>> damages = {
      {"empty", [](std::string& bytes) { bytes.clear(); }},
      {"truncated", [](std::string& bytes) { bytes.resize(bytes.size() / 2); }},
      {"flipped", [](std::string& bytes) { bytes.back() = static_cast<char>(bytes.back() ^ 1); }}};
  for (const std::string_view name : {checkpoints::kModelFile, checkpoints::kOptimizerFile}) {
    const auto path = file(2, name);
    std::filesystem::permissions(path, std::filesystem::perms::owner_write,
                                 std::filesystem::perm_options::add);
    std::ifstream stream(path, std::ios::binary);
    const std::string whole((std::istreambuf_iterator<char>(stream)), {});
    for (const auto& [what, damage] : damages) {
      SCOPED_TRACE(std::string(name) + " is " + what);
      std::string bytes = whole;
      damage(bytes);
      std::ofstream(path, std::ios::binary) << bytes;
      const auto answer = resume();
      EXPECT_EQ(answer.status, 422) << answer.body;
      EXPECT_THAT(answer.body, HasSubstr(std::string(name)));
    }
    std::filesystem::remove(path);
    const auto answer = resume();
    EXPECT_EQ(answer.status, 422) << answer.body;
    EXPECT_THAT(answer.body, HasSubstr(std::string(name)));
    std::ofstream(path, std::ios::binary) << whole;
  }
  EXPECT_THAT(claims(), IsEmpty());
  EXPECT_EQ(resume().status, 200) << "the files are whole again";
  stop_training();
}

TEST_F(ResumeEndpoint, ADamagedNewestFallsBackAndTellsTheServerBeforeItTrains) {
  leave_checkpoint(1);
  leave_checkpoint(2);
  std::filesystem::remove(file(2, checkpoints::kModelFile));
  server_.answer("POST " + kPath + "/rewind", {200, api::to_json(api::CommitCheckpointAnswer{})});
  start_worker();
  ASSERT_EQ(resume().status, 200);
  const auto rewinds = server_.requests("POST " + kPath + "/rewind");
  ASSERT_THAT(rewinds, SizeIs(1));
  const auto rewind = *api::from_json<api::RewindRequest>(rewinds.front().body);
  EXPECT_EQ(rewind.bad, (CheckpointRef{1, 2}));
  EXPECT_EQ(rewind.previous, (CheckpointRef{1, 1}));
  EXPECT_THAT(rewind.reason, HasSubstr("model.safetensors"));
  const metrics::testing::Exposition scrape(ask("GET", "/metrics").body);
  EXPECT_EQ(scrape.value("ktrdr_checkpoint_restores_total", {{"outcome", "damaged"}}), 1);
  EXPECT_EQ(scrape.value("ktrdr_checkpoint_restores_total", {{"outcome", "restored"}}), 1);
  EXPECT_EQ(scrape.value("ktrdr_checkpoint_fallbacks_total"), 1);
  stop_training();
}

}  // namespace
}  // namespace ktrdr::worker
