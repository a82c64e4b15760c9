// Each command against a scripted server: what is asked, what a person reads, what a script reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ktrdr/api/operation.h"
#include "test_bench.h"

namespace ktrdr::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kGet = "GET /api/v1/operations/op_1";
constexpr const char* kEvents = "GET /api/v1/operations/op_1/events";
constexpr const char* kCheckpoint = "GET /api/v1/checkpoints/op_1";

class Commands : public ::testing::Test {
 protected:
  TestBench bench_;
};

// ---- status ----

TEST_F(Commands, StatusOfARunningTraining) {
  bench_.server.answer(kEvents, {200, kNoEvents});
  bench_.server.answer(kGet, {200, running_operation(4, 42)});
  EXPECT_EQ(bench_.run({"status", "op_1"}), 0);
  EXPECT_EQ(bench_.out.str(),
            "operation   op_1\n"
            "type        training\n"
            "status      running (training)\n"
            "progress    42.0 %, epoch 5/10\n"
            "losses      train 0.7000, validation 0.6500, best 0.6000\n"
            "attempt     1\n"
            "worker      cpu-1 (w_1)\n"
            "checkpoint  epoch 12, 8 s ago, resume would repeat at most 40 batches\n");
  EXPECT_THAT(bench_.err.str(), IsEmpty());
}

constexpr const char* kThreeEvents =
    R"({"success":true,"data":{"operation_id":"op_1","last_sequence":9,"events":[)"
    R"({"sequence":7,"at":"2023-11-14T22:13:08.000Z","kind":"resumed","status":"running","attempt":2,"version":5,)"
    R"("worker_id":null,"worker_name":null,"checkpoint":"1-3","message":"From periodic, epoch 12"},)"
    R"({"sequence":8,"at":"2023-11-14T22:13:09.000Z","kind":"claimed","status":"running","attempt":2,"version":6,)"
    R"("worker_id":"w_2","worker_name":"cpu-2","checkpoint":"1-3","message":""},)"
    R"({"sequence":9,"at":"2023-11-14T22:13:20.000Z","kind":"lease_lapsed","status":"failed","attempt":2,"version":7,)"
    R"("worker_id":"w_2","worker_name":"cpu-2","checkpoint":"1-3","message":"silent\nfor 10 s"}]}})";

TEST_F(Commands, StatusShowsTheNewestEventsALineEach) {
  ::setenv("TZ", "UTC-1", 1);  // an hour ahead
  ::tzset();
  bench_.server.answer(kGet, {200, ended_operation("failed")});
  bench_.server.answer("GET /api/v1/operations/op_1/events?limit=10", {200, kThreeEvents});
  EXPECT_EQ(bench_.run({"status", "op_1"}), 0);
  EXPECT_THAT(bench_.out.str(),
              ::testing::EndsWith("\n\n"
                                  "TIME                 EVENT             ATTEMPT  WORKER  WHY\n"
                                  "2023-11-14 23:13:08  resumed from 1-3  2        -       From periodic, "
                                  "epoch 12\n"
                                  "2023-11-14 23:13:09  claimed           2        cpu-2   -\n"
                                  "2023-11-14 23:13:20  lease lapsed      2        cpu-2   silent for 10 "
                                  "s\n"));
  EXPECT_EQ(bench_.run({"status", "op_1", "--json"}), 0);
  EXPECT_THAT(bench_.out.str(), HasSubstr(R"(,"events":[{"sequence":7,)"));
  EXPECT_TRUE(api::from_json<api::JsonText>(bench_.out.str()).ok());
}

TEST_F(Commands, StatusShowsAsMuchOfTheHistoryAsIsAskedFor) {
  bench_.server.answer(kGet, {200, ended_operation("failed")});
  bench_.server.answer("GET /api/v1/operations/op_1/events?after=0&limit=1000", {200, kThreeEvents});
  bench_.server.answer(
      "GET /api/v1/operations/op_1/events?after=9&limit=1000",
      {200, R"({"success":true,"data":{"operation_id":"op_1","events":[],"last_sequence":9}})"});
  EXPECT_EQ(bench_.run({"status", "op_1", "--events", "all"}), 0);
  EXPECT_THAT(bench_.out.str(), HasSubstr("lease lapsed"));
  EXPECT_EQ(bench_.run({"status", "op_1", "--events", "0"}), 0);
  EXPECT_THAT(bench_.out.str(), ::testing::Not(HasSubstr("EVENT")));
  for (const char* wrong : {"some", "-1", "1001", "1x", ""}) {
    EXPECT_EQ(bench_.run({"status", "op_1", "--events", wrong}), 2) << wrong;
  }
}

// The server's clock counts, whatever ours says.
TEST_F(Commands, StatusSaysWhatACrashWouldCostNow) {
  const auto shown = [&](double age, double at_risk) {
    TestBench bench;
    bench.clock.jump_wall_clock(std::chrono::hours(5));
    auto answer = api::from_json<api::OperationResponse>(running_operation(4, 42)).value();
    answer.data.checkpoint->start_batch = 120;
    answer.data.seconds_since_checkpoint = age;
    answer.data.seconds_at_risk = at_risk;
    bench.server.answer(kGet, {200, api::to_json(answer)});
    bench.server.answer(kEvents, {200, kNoEvents});
    EXPECT_EQ(bench.run({"status", "op_1"}), 0);
    return bench.out.str();
  };
  EXPECT_THAT(
      shown(12.4, 12.4),
      HasSubstr("last checkpoint  12 s ago (epoch 13, batch 120); a crash now would cost at most 13 s of "
                "training\n"));
  EXPECT_THAT(shown(7200, 3),
              HasSubstr("2h 00m ago (epoch 13, batch 120); a crash now would cost at most 3 s of "
                        "training\n"));
  EXPECT_THAT(shown(60, 0), HasSubstr("; a crash now would cost nothing\n"));
}

TEST_F(Commands, StatusCountsSavesOnceOneHasFailed) {
  bench_.server.answer(kEvents, {200, kNoEvents});
  auto answer = api::from_json<api::OperationResponse>(running_operation(4, 42)).value();
  answer.data.checkpoint_counts = {.saved = 9};
  bench_.server.answer(kGet, {200, api::to_json(answer)});
  answer.data.checkpoint_counts->failed = 2;
  bench_.server.answer(kGet, {200, api::to_json(answer)});
  EXPECT_EQ(bench_.run({"status", "op_1"}), 0);
  EXPECT_THAT(bench_.out.str(), Not(HasSubstr("saves")));
  EXPECT_EQ(bench_.run({"status", "op_1"}), 0);
  EXPECT_THAT(bench_.out.str(), HasSubstr("saves       9 saved, 2 failed\n"));
}

TEST_F(Commands, StatusOfAFailedTrainingSaysHowToResume) {
  bench_.server.answer(kEvents, {200, kNoEvents});
  bench_.server.answer(kGet, {200, ended_operation("failed")});
  EXPECT_EQ(bench_.run({"status", "op_1"}), 0) << "asking worked";
  EXPECT_THAT(bench_.out.str(), HasSubstr("error       Worker w_1 fell silent.\n"));
  EXPECT_EQ(bench_.err.str(), "resume with: ktrdr resume op_1\n");
}

TEST_F(Commands, StatusOfACompletedTrainingNamesTheModel) {
  bench_.server.answer(kEvents, {200, kNoEvents});
  bench_.server.answer(kGet, {200, completed_operation()});
  EXPECT_EQ(bench_.run({"status", "op_1"}), 0);
  EXPECT_THAT(bench_.out.str(), HasSubstr("model          /m/op_1/1\n"
                                          "sha256         abc123\n"
                                          "test accuracy  0.5312\n"));
}

TEST_F(Commands, StatusAsJsonIsTheOperation) {
  bench_.server.answer(kEvents, {200, kNoEvents});
  bench_.server.answer(kGet, {200, running_operation(4, 42)});
  EXPECT_EQ(bench_.run({"status", "op_1", "--json"}), 0);
  const auto operation = api::from_json<api::Operation>(bench_.out.str());
  ASSERT_TRUE(operation.ok());
  EXPECT_EQ(operation->operation_id, "op_1");
}

TEST_F(Commands, StatusWithoutAnIdIsAnOverview) {
  bench_.server.answer("GET /api/v1/health",
                       {200, R"({"status":"ok","version":"9.9","workers_connected":2})"});
  bench_.server.answer("GET /api/v1/operations", {200, R"({"success":true,"data":[],"total_count":0})"});
  bench_.server.answer("GET /api/v1/operations?status=completed&limit=1",
                       {200, R"({"success":true,"data":[],"total_count":14})"});
  EXPECT_EQ(bench_.run({"status"}), 0);
  EXPECT_EQ(bench_.out.str(),
            "server     " + bench_.server.url() +
                " (9.9)\nworkers    2\npending    0\nrunning    0\ncompleted  14\nfailed     0\n"
                "cancelled  0\n");
  EXPECT_EQ(bench_.run({"status", "--json"}), 0);
  EXPECT_EQ(bench_.out.str(),
            R"({"operations":{"pending":0,"running":0,"completed":14,"failed":0,"cancelled":0},"workers":2,)"
            R"("version":"9.9"})"
            "\n");
}

// ---- ops ----

constexpr const char* kTwoOperations =
    R"({"success":true,"total_count":2,"data":[)"
    R"({"operation_id":"op_2","status":"running","phase":"training","created_at":"2","progress_percentage":42.04,)"
    R"("symbol":"EURUSD","duration_seconds":65},)"
    R"({"operation_id":"op_1","status":"failed","created_at":"1","progress_percentage":5,)"
    R"("checkpoint_summary":"epoch 3","duration_seconds":7380}]})";

TEST_F(Commands, OpsIsAnAlignedTable) {
  bench_.server.answer("GET /api/v1/operations?limit=50", {200, kTwoOperations});
  EXPECT_EQ(bench_.run({"ops"}), 0);
  EXPECT_EQ(bench_.out.str(),
            "ID    STATUS              PROGRESS  CHECKPOINT  SYMBOL  DURATION\n"
            "op_2  running (training)  42.0 %    -           EURUSD  1m 05s\n"
            "op_1  failed              5.0 %     epoch 3     -       2h 03m\n");
  EXPECT_EQ(bench_.err.str(), "1 resumable\n");
}

TEST_F(Commands, OpsPassesItsFiltersOn) {
  bench_.server.answer("GET /api/v1/operations", {200, kTwoOperations});
  EXPECT_EQ(bench_.run({"ops", "--status", "failed", "--type", "training", "--limit", "3", "--active"}), 0);
  EXPECT_EQ(bench_.server.requests().at(0).target,
            "/api/v1/operations?status=failed&operation_type=training&limit=3&active_only=true");
  EXPECT_EQ(bench_.run({"ops", "--status", "resuming"}), 2);
}

TEST_F(Commands, OpsReadsAsManyPagesAsItTakes) {
  const auto page = [](const std::string& id, const std::string& next) {
    return R"({"success":true,"data":[{"operation_id":")" + id +
           R"(","status":"failed","created_at":"1"}],)" + R"("next_cursor":)" + next + "}";
  };
  bench_.server.answer("GET /api/v1/operations?limit=2", {200, page("op_2", R"("place,1")")});
  bench_.server.answer("GET /api/v1/operations?limit=2&cursor=place%2C1", {200, page("op_1", "null")});
  EXPECT_EQ(bench_.run({"ops", "--limit", "2", "--json"}), 0);
  EXPECT_THAT(bench_.out.str(), HasSubstr("op_2"));
  EXPECT_THAT(bench_.out.str(), HasSubstr("op_1"));
  EXPECT_EQ(bench_.server.requests().size(), 2U);
}

TEST_F(Commands, OpsOfRetries) {
  bench_.server.answer("GET /api/v1/operations/op_9/children", {200, kTwoOperations});
  EXPECT_EQ(bench_.run({"ops", "--retries-of", "op_9"}), 0);
  EXPECT_THAT(bench_.out.str(), HasSubstr("op_1  failed"));
  EXPECT_EQ(bench_.run({"ops", "--retries-of", "../x"}), 2);
}

TEST_F(Commands, RetryPrintsTheNewId) {
  bench_.server.answer("POST /api/v1/operations/op_1/retry",
                       {200, R"({"success":true,"data":{"operation_id":"op_2","status":"pending",)"
                             R"("parent_operation_id":"op_1"}})"});
  EXPECT_EQ(bench_.run({"retry", "op_1"}), 0);
  EXPECT_EQ(bench_.out.str(), "op_2\n");
  EXPECT_THAT(bench_.err.str(), HasSubstr("from its beginning, as op_2"));
  TestBench refused;
  refused.refuse("POST /api/v1/operations/op_1/retry", 409, "CONFLICT");
  EXPECT_EQ(refused.run({"retry", "op_1"}), 4);
}

TEST_F(Commands, OpsResumableAsksForBothStatusesNewestFirst) {
  bench_.server.answer("GET /api/v1/operations?status=failed&limit=1000", {200, kTwoOperations});
  bench_.server.answer("GET /api/v1/operations?status=cancelled&limit=1000",
                       {200, R"({"success":true,"data":[)"
                             R"({"operation_id":"op_4","status":"cancelled","created_at":"4"},)"
                             R"({"operation_id":"op_3","status":"cancelled","created_at":"3",)"
                             R"("checkpoint_summary":"epoch 9"}]})"});
  EXPECT_EQ(bench_.run({"ops", "--resumable"}), 0);
  EXPECT_EQ(bench_.out.str(),
            "ID    STATUS     PROGRESS  CHECKPOINT  SYMBOL  DURATION\n"
            "op_3  cancelled  0.0 %     epoch 9     -       -\n"
            "op_1  failed     5.0 %     epoch 3     -       2h 03m\n");
}

TEST_F(Commands, OpsSaysWhyItIsEmpty) {
  bench_.server.answer("GET /api/v1/operations", {200, R"({"success":true,"data":[]})"});
  const std::pair<std::vector<std::string>, const char*> table[] = {
      {{"ops"}, "No operations yet. Start one with: ktrdr train STRATEGY.yaml\n"},
      {{"ops", "--active"}, "No operation is active.\n"},
      {{"ops", "--resumable"}, "No operation can be resumed.\n"},
      {{"ops", "--status", "failed"}, "No operation matches.\n"}};
  for (const auto& [words, says] : table) {
    EXPECT_EQ(bench_.run(words), 0);
    EXPECT_EQ(bench_.err.str(), says);
    EXPECT_THAT(bench_.out.str(), IsEmpty());
  }
  EXPECT_EQ(bench_.run({"ops", "--json"}), 0);
  EXPECT_EQ(bench_.out.str(), "[]\n");
}

// ---- cancel, resume ----

TEST_F(Commands, CancelSendsTheReasonAndSaysHowToResume) {
  bench_.server.answer("DELETE /api/v1/operations/op_1",
                       {200, R"({"success":true,"data":{"operation_id":"op_1","status":"cancelled",)"
                             R"("cancelled_at":"T","cancellation_reason":"enough"}})"});
  EXPECT_EQ(bench_.run({"cancel", "op_1", "--reason", "enough"}), 0);
  EXPECT_EQ(bench_.server.requests().at(0).body, R"({"reason":"enough","force":false})");
  EXPECT_EQ(bench_.out.str(), "op_1 cancelled\n");
  EXPECT_EQ(bench_.err.str(), "at T\nreason: enough\nresume with: ktrdr resume op_1\n");
}

TEST_F(Commands, ASlowCancelIsNotCalledCancelled) {
  bench_.server.answer("DELETE /api/v1/operations/op_1",
                       {202, R"({"success":true,"data":{"operation_id":"op_1","status":"running"}})"});
  EXPECT_EQ(bench_.run({"cancel", "op_1"}), 0);
  EXPECT_EQ(bench_.out.str(), "op_1 cancelling\n");
  EXPECT_THAT(bench_.err.str(), HasSubstr("ktrdr follow op_1"));
}

constexpr const char* kResumed =
    R"({"success":true,"data":{"operation_id":"op_1","status":"running","attempt":2,"workers_connected":1,)"
    R"("resumed_from":{"checkpoint_type":"cancellation","created_at":"T","epoch":11,"start_epoch":12,)"
    R"("start_batch":40}}})";

TEST_F(Commands, ResumeSaysFromWhere) {
  bench_.server.answer("POST /api/v1/operations/op_1/resume", {200, kResumed});
  EXPECT_EQ(bench_.run({"resume", "op_1", "--allow-changes"}), 0);
  EXPECT_EQ(bench_.server.requests().at(0).body, R"({"allow_changes":true})");
  EXPECT_EQ(bench_.out.str(), "op_1\n");
  EXPECT_EQ(bench_.err.str(),
            "Resumed op_1 (attempt 2) from its cancellation checkpoint: epoch 13, batch 40, saved at T.\n"
            "Watch it with: ktrdr follow op_1\n");
}

TEST_F(Commands, RefusedResumesHaveTheirExitCodes) {
  const std::pair<const char*, int> table[] = {
      {"CONFLICT", 4}, {"CHECKPOINT_NOT_FOUND", 3}, {"NOT_FOUND", 3}};
  for (const auto& [code, exit_code] : table) {
    TestBench bench;
    bench.refuse("POST /api/v1/operations/op_1/resume", 409, code);
    EXPECT_EQ(bench.run({"resume", "op_1"}), exit_code);
  }
}

// ---- checkpoints ----

constexpr const char* kOneCheckpoint =
    R"({"success":true,"data":{"operation_id":"op_1","checkpoint_type":"cancellation",)"
    R"("created_at":"2023-11-14T22:13:12Z","state":{"ref":"1-3","checkpoint_type":"cancellation","start_epoch":12,)"
    R"("start_batch":40,"global_step":640,"created_at":"2023-11-14T22:13:12Z","size_bytes":1536,)"
    R"("manifest_digest":"d1"},"kept":[{"ref":"1-3","checkpoint_type":"cancellation","start_epoch":12,)"
    R"("start_batch":40,"created_at":"2023-11-14T22:13:12Z","size_bytes":1536}],"artifacts_path":"/c/op_1/1-3"}})";

TEST_F(Commands, CheckpointsShow) {
  bench_.server.answer(kCheckpoint, {200, kOneCheckpoint});
  EXPECT_EQ(bench_.run({"checkpoints", "show", "op_1"}), 0);
  EXPECT_EQ(bench_.out.str(),
            "operation   op_1\n"
            "checkpoint  1-3\n"
            "type        cancellation\n"
            "saved       2023-11-14T22:13:12Z (8 s ago)\n"
            "position    epoch 13, batch 40\n"
            "step        640\n"
            "size        1.5 KiB\n"
            "digest      d1\n"
            "path        /c/op_1/1-3\n");
  EXPECT_EQ(bench_.run({"checkpoints", "show", "op_1", "--json"}), 0);
  EXPECT_TRUE(api::from_json<api::CheckpointData>(bench_.out.str()).ok());
}

TEST_F(Commands, CheckpointsDeleteAsksFirst) {
  bench_.server.answer(kCheckpoint, {200, kOneCheckpoint});
  bench_.server.answer("DELETE /api/v1/checkpoints/op_1",
                       {200, R"({"success":true,"message":"Deleted 2."})"});
  for (const char* answer : {"n\n", "\n", "", "yep\n"}) {
    bench_.in.clear();
    bench_.in.str(answer);
    EXPECT_EQ(bench_.run({"checkpoints", "delete", "op_1"}), 0);
    EXPECT_THAT(bench_.err.str(), HasSubstr("its work is lost"));
    EXPECT_THAT(bench_.err.str(), HasSubstr("Delete it? [y/N] Nothing was deleted.\n"));
  }
  EXPECT_THAT(bench_.server.requests("DELETE"), IsEmpty());

  bench_.in.clear();
  bench_.in.str("y\n");
  EXPECT_EQ(bench_.run({"checkpoints", "delete", "op_1"}), 0);
  EXPECT_THAT(bench_.err.str(), HasSubstr("Deleted 2.\n"));
  EXPECT_EQ(bench_.server.requests("DELETE").size(), 1U);
}

TEST_F(Commands, CheckpointsDeleteForcedDoesNotAsk) {
  bench_.server.answer("DELETE /api/v1/checkpoints/op_1",
                       {200, R"({"success":true,"message":"Deleted 2."})"});
  EXPECT_EQ(bench_.run({"checkpoints", "delete", "op_1", "--force", "--json"}), 0);
  EXPECT_EQ(bench_.out.str(), "{\"success\":true,\"message\":\"Deleted 2.\",\"version\":0}\n");
  EXPECT_EQ(bench_.server.requests().size(), 1U);
}

TEST_F(Commands, CheckpointsListReadsEveryPage) {
  const auto page = [](const std::string& id, const std::string& next) {
    return R"({"success":true,"total_count":2,"data":[{"operation_id":")" + id +
           R"(","checkpoint_type":"failure","created_at":"2023-11-14T22:13:12Z","state_summary":{"ref":"1-3",)"
           R"("checkpoint_type":"failure","start_epoch":12,"start_batch":0},"artifacts_size_bytes":1536}],)"
           R"("next_cursor":)" +
           next + "}";
  };
  bench_.server.answer("GET /api/v1/checkpoints?older_than_days=7", {200, page("op_2", R"("p")")});
  bench_.server.answer("GET /api/v1/checkpoints?older_than_days=7&cursor=p", {200, page("op_1", "null")});
  EXPECT_EQ(bench_.run({"checkpoints", "list", "--older-than-days", "7"}), 0);
  EXPECT_EQ(bench_.out.str(),
            "ID    TYPE     POSITION  SIZE     AGE\n"
            "op_2  failure  epoch 12  1.5 KiB  8 s ago\n"
            "op_1  failure  epoch 12  1.5 KiB  8 s ago\n");
}

TEST_F(Commands, CheckpointsListOfNothing) {
  bench_.server.answer("GET /api/v1/checkpoints", {200, R"({"success":true,"data":[],"total_count":0})"});
  EXPECT_EQ(bench_.run({"checkpoints", "list"}), 0);
  EXPECT_THAT(bench_.out.str(), IsEmpty());
  EXPECT_EQ(bench_.run({"checkpoints", "list", "--json"}), 0);
  EXPECT_EQ(bench_.out.str(), "[]\n");
}

TEST_F(Commands, CheckpointsStatsAndCleanup) {
  bench_.server.answer(
      "GET /api/v1/checkpoints/stats",
      {200, R"({"success":true,"total_checkpoints":2,"kept_checkpoints":4,"total_size_bytes":1536,)"
            R"("oldest_checkpoint":"2023-11-14T22:13:12Z"})"});
  EXPECT_EQ(bench_.run({"checkpoints", "stats"}), 0);
  EXPECT_EQ(bench_.out.str(), "operations   2\ncheckpoints  4\nsize         1.5 KiB\noldest       8 s ago\n");
  bench_.server.answer("POST /api/v1/checkpoints/cleanup?max_age_days=7",
                       {200, R"({"success":true,"checkpoints_deleted":3,"orphan_artifacts_cleaned":1})"});
  EXPECT_EQ(bench_.run({"checkpoints", "cleanup", "--max-age-days", "7"}), 0);
  EXPECT_THAT(bench_.err.str(), HasSubstr("3 operations and 1 objects"));
  EXPECT_EQ(bench_.run({"checkpoints", "cleanup", "--max-age-days", "0"}), 2);
  bench_.server.answer("POST /api/v1/checkpoints/cleanup",
                       {200, R"({"success":true,"checkpoints_deleted":0,"orphan_artifacts_cleaned":2})"});
  EXPECT_EQ(bench_.run({"checkpoints", "cleanup"}), 0) << "how old is too old is the server's to say";
  EXPECT_THAT(bench_.err.str(), HasSubstr("0 operations and 2 objects"));
}

// ---- workers ----

TEST_F(Commands, WorkersIsATable) {
  bench_.server.answer(
      "GET /api/v1/workers",
      {200, R"([{"worker_id":"w_1","name":"cpu-1","endpoint_url":"http://h:1","status":"busy",)"
            R"("current_operation_id":"op_1"}])"});
  bench_.server.answer("GET /api/v1/health", {200, kHealthy});
  EXPECT_EQ(bench_.run({"workers"}), 0);
  EXPECT_EQ(bench_.out.str(),
            "NAME   TYPE      STATUS  OPERATION  ENDPOINT    ID\n"
            "cpu-1  training  busy    op_1       http://h:1  w_1\n");
}

}  // namespace
}  // namespace ktrdr::cli
