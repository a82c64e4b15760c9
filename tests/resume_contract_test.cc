// The contract of POST /operations/{id}/resume over HTTP, case by case; docs/acceptance.md says which case of
// the Python project each test is. Where what matters is the row, a test plays the worker; where it matters
// that training goes on, real workers train on real files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "ktrdr/client/testing/scripted_server.h"
#include "support/worker_by_hand.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;
using client::testing::ScriptedServer;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TrainingWish endless() { return {.strategy_yaml = demanding_strategy(5000), .checkpoint_every_epochs = 1}; }

Request resume_of(const OperationId& id) { return {"POST", WorkerByHand::path_of(id) + "/resume"}; }

// ---- the row: a server without workers, and a test that plays one ----

class ResumeContract : public ::testing::Test {
 protected:
  Answer resume(const OperationId& id) { return worker_.send(resume_of(id)); }

  // Refused with this status and these words, and nothing at all has changed.
  void expect_refused(const OperationId& id, const std::string& outcome, const std::string& words) {
    const std::string before = worker_.everything(id);
    const Answer refused = resume(id);
    EXPECT_EQ(refused.outcome(), outcome) << refused.body;
    EXPECT_THAT(refused.detail(), HasSubstr(words));
    EXPECT_EQ(worker_.everything(id), before);
  }

  // A worker that answers what it is told to; the server takes it for a free one.
  void register_worker(const std::string& id, const std::string& url) {
    worker_.tell({"POST", "/workers/register",
                  api::to_json(api::WorkerRegistration{.worker_id = id, .name = id, .endpoint_url = url})});
  }

  TestSystem system_{{.local_workers = 0, .lease_seconds = WorkerByHand::kLeaseSeconds}};
  WorkerByHand worker_{system_};
};

TEST_F(ResumeContract, OfACancelledOperationSaysRunningAndFromWhere) {
  const Answer answer = resume(worker_.cancelled());
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.json().at("success"), true);
  const auto data = answer.json().at("data");
  EXPECT_EQ(data.at("status"), "running");
  EXPECT_EQ(data.at("resumed_from").at("epoch"), 1);
  EXPECT_EQ(data.at("resumed_from").at("start_epoch"), 2);
  EXPECT_EQ(data.at("resumed_from").at("checkpoint_type"), "cancellation");
}

TEST_F(ResumeContract, OfAFailedOperationNamesItsFailureCheckpoint) {
  const Answer answer = resume(worker_.failed());
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.json().at("data").at("status"), "running");
  EXPECT_EQ(answer.json().at("data").at("resumed_from").at("checkpoint_type"), "failure");
}

TEST_F(ResumeContract, OfAnUnknownOperationIsNotFound) {
  const Answer refused = resume({"op_nobody"});
  EXPECT_EQ(refused.outcome(), "404 NOT_FOUND");
  EXPECT_THAT(refused.detail(), HasSubstr("not found"));
}

TEST_F(ResumeContract, WithoutACheckpointItIsRefusedAndStaysWhatItWas) {
  const OperationId cancelled = worker_.waiting();
  worker_.tell({"DELETE", WorkerByHand::path_of(cancelled)});
  expect_refused(cancelled, "404 CHECKPOINT_NOT_FOUND", "checkpoint");
  EXPECT_EQ(system_.operation(cancelled).status, OperationStatus::kCancelled);

  const OperationId failed = worker_.claimed();
  worker_.tell(WorkerByHand::fail(failed, 1));
  expect_refused(failed, "404 CHECKPOINT_NOT_FOUND", "checkpoint");
  EXPECT_EQ(system_.operation(failed).error_message, "The loss is NaN.") << "the reason is still there";
}

TEST_F(ResumeContract, OfWhatIsNotResumableIsAConflictThatSaysWhy) {
  const OperationId completed = worker_.claimed();
  worker_.tell(WorkerByHand::complete(completed, 1));
  expect_refused(worker_.waiting(), "409 CONFLICT", "cannot resume");
  expect_refused(worker_.saved(), "409 CONFLICT", "already running");
  expect_refused(worker_.resumed(), "409 CONFLICT", "already running");
  expect_refused(completed, "409 CONFLICT", "already completed");
}

TEST_F(ResumeContract, ChangesTheRowOnceAndClearsWhatTheAttemptBeforeLeft) {
  const OperationId id = worker_.failed();
  const api::Operation before = system_.operation(id);
  ASSERT_EQ(resume(id).status, 200);
  const api::Operation after = system_.operation(id);
  EXPECT_EQ(after.version, before.version + 1);
  EXPECT_EQ(after.attempt, before.attempt + 1);
  EXPECT_GE(after.started_at, before.started_at);
  EXPECT_EQ(after.checkpoint, before.checkpoint);
  EXPECT_FALSE(after.completed_at || after.error_message || after.worker_id || after.last_heartbeat_at);
}

TEST_F(ResumeContract, ARefusedOneReachesNoWorker) {
  const OperationId unsaved = worker_.waiting();
  worker_.tell({"DELETE", WorkerByHand::path_of(unsaved)});
  const OperationId claimed = worker_.saved();
  ScriptedServer elsewhere;
  register_worker("worker-elsewhere", elsewhere.url());
  for (const OperationId& id : {unsaved, claimed, OperationId{"op_nobody"}})
    EXPECT_GE(resume(id).status, 400);
  EXPECT_THAT(elsewhere.requests(), IsEmpty());
}

// The Python project answers 502 and 503, and leaves the operation cancelled.
TEST_F(ResumeContract, AWorkerWithTroubleOrOutOfReachLeavesItInTheQueue) {
  ScriptedServer in_trouble;
  in_trouble.answer("POST /training/resume", {500, R"({"detail":"The machine is on fire."})"});
  const OperationId first = worker_.cancelled(), second = worker_.cancelled();
  register_worker("worker-in-trouble", in_trouble.url());
  const Answer answer = resume(first);
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.json().at("data").at("phase"), "queued");
  EXPECT_THAT(answer.body, ::testing::Not(HasSubstr("on fire"))) << "what a worker says is not echoed";
  EXPECT_THAT(in_trouble.requests("POST /training/resume"), ::testing::Not(IsEmpty()));

  in_trouble.go_down();
  register_worker("worker-in-trouble", in_trouble.url());
  ASSERT_EQ(resume(second).status, 200);
  EXPECT_EQ(system_.operation(second).status, OperationStatus::kRunning);
  EXPECT_EQ(system_.operation(second).phase, api::Phase::kQueued);
}

TEST_F(ResumeContract, AWorkersVerdictThatThereIsNoCheckpointEndsTheAttempt) {
  ScriptedServer verdict;
  verdict.answer("POST /training/resume",
                 {404, R"({"success":false,"detail":"The checkpoint of it is not found.",)"
                       R"("error":{"code":"CHECKPOINT_NOT_FOUND","message":"x","details":{}}})"});
  const OperationId id = worker_.cancelled();
  register_worker("worker-verdict", verdict.url());
  const Answer answer = resume(id);
  EXPECT_EQ(answer.outcome(), "404 CHECKPOINT_NOT_FOUND") << answer.body;
  EXPECT_THAT(answer.detail(), HasSubstr("checkpoint"));
  EXPECT_EQ(system_.operation(id).status, OperationStatus::kFailed);
  EXPECT_EQ(system_.operation(id).attempt, 2);
  EXPECT_THAT(system_.operation(id).error_message.value_or(""), HasSubstr("checkpoint"));
  EXPECT_THAT(verdict.requests("POST /training/resume"), SizeIs(1)) << "nobody is asked for ever";
}

// ---- concurrency ----

TEST_F(ResumeContract, OfCallersAtOnceOneWinsAndTheRowTellsOneStory) {
  for (const int callers : {3, 5}) {
    const OperationId id = callers == 3 ? worker_.cancelled() : worker_.failed();
    const api::Operation before = system_.operation(id);
    std::vector<std::string> outcomes(static_cast<std::size_t>(callers));
    {
      std::vector<std::jthread> clients;
      for (auto& outcome : outcomes) clients.emplace_back([&] { outcome = resume(id).outcome(); });
    }
    EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), "200"), 1);
    EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), "409 CONFLICT"), callers - 1);
    const api::Operation after = system_.operation(id);
    EXPECT_EQ(after.status, OperationStatus::kRunning);
    EXPECT_EQ(after.attempt, before.attempt + 1);
    EXPECT_EQ(after.version, before.version + 1);
    EXPECT_TRUE(after.started_at.has_value());
    EXPECT_FALSE(after.completed_at || after.error_message);
  }
}

TEST_F(ResumeContract, DifferentOperationsDoNotStandInEachOthersWay) {
  std::vector<OperationId> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(worker_.cancelled());
  {
    std::vector<std::jthread> clients;
    for (const OperationId& id : ids) clients.emplace_back([&] { EXPECT_EQ(resume(id).status, 200); });
  }
  for (const OperationId& id : ids) EXPECT_EQ(system_.operation(id).attempt, 2);
}

// ---- without a store ----

TEST(CacheOnlyMode, ResumesByTheSameRules) {
  TestSystem system({.local_workers = 0,
                     .lease_seconds = WorkerByHand::kLeaseSeconds,
                     .serve_options = {"--database", "memory:"}});
  WorkerByHand worker(system);
  const OperationId id = worker.cancelled();
  EXPECT_EQ(worker.send(resume_of(id)).outcome(), "200");
  EXPECT_EQ(system.operation(id).attempt, 2);
  EXPECT_EQ(worker.send(resume_of(id)).outcome(), "409 CONFLICT");
  EXPECT_EQ(worker.send(resume_of({"op_nobody"})).outcome(), "404 NOT_FOUND");
  for (const auto& file : std::filesystem::directory_iterator(system.data_dir()))
    EXPECT_NE(file.path().extension(), ".db") << "nothing outlives this process";
}

// ---- the training: real workers, real files ----

// The ones that rows name: nobody but the test removes their files.
std::vector<CheckpointRef> kept_checkpoints(TestSystem& system, const OperationId& id) {
  std::vector<CheckpointRef> refs;
  const auto shown = system.api().checkpoint(id);
  EXPECT_TRUE(shown.ok()) << (shown.ok() ? "" : shown.error().describe());
  if (!shown.ok()) return refs;
  for (const auto& kept : shown->data.kept) refs.push_back(kept.ref);
  EXPECT_THAT(refs, ::testing::Not(IsEmpty()));
  return refs;
}

TEST(ResumeWithWorkers, GoesOnAfterTheCheckpointsEpoch) {
  TestSystem system;
  const OperationId id = system.start_training(endless());
  ASSERT_TRUE(eventually([&] { return system.operation(id).progress.context.epoch >= 2; }));
  ASSERT_TRUE(system.api().cancel(id, {}).ok());
  const auto saved = system.operation(id).checkpoint;
  ASSERT_TRUE(saved && saved->epoch);
  system.wait_for_a_free_worker();
  const auto resumed = system.api().resume(id, {});
  ASSERT_TRUE(resumed.ok()) << resumed.error().describe();
  EXPECT_EQ(resumed->data.resumed_from.epoch, saved->epoch);
  EXPECT_EQ(resumed->data.resumed_from.start_epoch, *saved->epoch + 1);
  EXPECT_EQ(resumed->data.resumed_from.checkpoint_type, api::CheckpointType::kCancellation);
  EXPECT_NE(resumed->data.phase, api::Phase::kQueued) << "a free worker has taken it, and may be further";
  const auto going_on = system.wait_for_step(id, saved->global_step + 1);
  EXPECT_EQ(going_on.status, OperationStatus::kRunning);
  EXPECT_GE(going_on.progress.context.epoch, *saved->epoch + 1);
}

// The Python project answers 503 and sets the operation to cancelled.
TEST(ResumeWithWorkers, WithoutAWorkerItWaitsUntilOneComes) {
  TestSystem system({.local_workers = 0});
  ChildProcess& gone = system.start_worker("gone");
  const OperationId id = system.start_training(endless());
  system.wait_for_step(id, 10);
  gone.signal(SIGTERM);
  ASSERT_EQ(gone.wait(std::chrono::seconds(25)), 0);
  const auto saved = system.wait_for_status(id, OperationStatus::kCancelled).checkpoint;
  ASSERT_TRUE(eventually([&] { return system.api().health()->workers_connected == 0; }));
  const auto resumed = system.api().resume(id, {});
  ASSERT_TRUE(resumed.ok()) << resumed.error().describe();
  EXPECT_EQ(resumed->data.status, OperationStatus::kRunning);
  EXPECT_EQ(resumed->data.phase, api::Phase::kQueued);
  EXPECT_EQ(resumed->data.workers_connected, 0);
  system.start_worker("fresh");
  EXPECT_EQ(system.wait_for_step(id, saved->global_step + 1).worker_name, "fresh");
}

TEST(ResumeWithWorkers, TheNextWorkerTakesWhatOneCouldNot) {
  TestSystem system({.local_workers = 0});
  WorkerByHand hand(system);
  const OperationId id = [&] {
    ChildProcess& first = system.start_worker("first");
    const OperationId started = system.start_training(endless());
    system.wait_for_step(started, 10);
    first.signal(SIGTERM);
    EXPECT_EQ(first.wait(std::chrono::seconds(25)), 0);
    return started;
  }();
  const auto saved = system.wait_for_status(id, OperationStatus::kCancelled).checkpoint;
  ScriptedServer in_trouble;
  in_trouble.answer("POST /training/resume", {500, "{}"});
  hand.tell({"POST", "/workers/register",
             api::to_json(api::WorkerRegistration{
                 .worker_id = "worker-in-trouble", .name = "trouble", .endpoint_url = in_trouble.url()})});
  system.resume(id);
  EXPECT_THAT(in_trouble.requests("POST /training/resume"), ::testing::Not(IsEmpty()));
  system.start_worker("second");
  EXPECT_EQ(system.wait_for_step(id, saved->global_step + 1).worker_name, "second");
}

TEST(ResumeWithWorkers, CheckpointsWhoseFilesAreGoneAreA404AndTheReasonStays) {
  TestSystem system;
  const OperationId id = system.start_training(endless());
  system.wait_for_step(id, 10);
  ASSERT_TRUE(system.api().cancel(id, {}).ok());
  for (const CheckpointRef& ref : kept_checkpoints(system, id)) {
    std::filesystem::remove_all(system.data_dir() / "checkpoints" / id.value / ref.to_string());
  }
  system.wait_for_a_free_worker();
  const auto refused = system.api().resume(id, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCheckpointNotFound) << refused.error().describe();
  const api::Operation after = system.operation(id);
  EXPECT_EQ(after.status, OperationStatus::kFailed);
  EXPECT_THAT(after.error_message.value_or(""), HasSubstr("heckpoint"));
}

TEST(ResumeWithWorkers, CorruptedCheckpointsWithoutAGoodOneAreA422AndTheReasonStays) {
  TestSystem system;
  const OperationId id = system.start_training(endless());
  system.wait_for_step(id, 10);
  ASSERT_TRUE(system.api().cancel(id, {}).ok());
  for (const CheckpointRef& ref : kept_checkpoints(system, id)) {
    std::filesystem::remove(system.data_dir() / "checkpoints" / id.value / ref.to_string() /
                            "optimizer.safetensors");
  }
  system.wait_for_a_free_worker();
  WorkerByHand hand(system);
  const Answer refused = hand.send(resume_of(id));
  EXPECT_EQ(refused.outcome(), "422 CHECKPOINT_CORRUPTED") << refused.body;
  EXPECT_THAT(refused.detail(), HasSubstr("optimizer.safetensors"));
  const api::Operation after = system.operation(id);
  EXPECT_EQ(after.status, OperationStatus::kFailed);
  EXPECT_THAT(after.error_message.value_or(""), HasSubstr("optimizer.safetensors"));
}

}  // namespace
}  // namespace ktrdr::system_test
