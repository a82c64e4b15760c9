// Every request that changes something, sent twice at the same time, sent again, and arriving late (rule 13):
// it is applied once, whoever repeats it gets the same answer or a refusal that says why, and what comes too
// late changes nothing. On SQLite and on PostgreSQL, over HTTP, with a test that plays the worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <latch>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "ktrdr/storage/testing/postgres_cluster.h"
#include "support/worker_by_hand.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;
using storage::testing::PostgresCluster;
using ::testing::Contains;
using ::testing::ElementsAre;

// One route, and how it answers what it was asked before.
struct Case {
  std::string name;
  // An operation in the state in which the request is welcome; nothing: a new id.
  std::function<OperationId(WorkerByHand&)> scene;
  std::function<Request(WorkerByHand&, const OperationId&)> request;
  // What happens before the late copy comes in.
  std::function<void(WorkerByHand&, const OperationId&)> meanwhile;
  std::set<std::string> at_once;  // of two at the same time one is 200, and the other one of these
  std::string again, late;
  // Nothing can follow once the request was applied: its late copy is the only one.
  bool only_late = false;
};

OperationId new_id(WorkerByHand&) {
  static int last = 0;
  return {"op_chosen_" + std::to_string(++last)};
}

std::vector<client::HttpHeader> key(const OperationId& id) {
  return {{"Idempotency-Key", "key-" + id.value}};
}
std::vector<client::HttpHeader> if_match(WorkerByHand& worker, const OperationId& id) {
  return {{"If-Match", std::to_string(worker.system().operation(id).version)}};
}

// The next attempt of an operation that has ended, claimed.
void take_the_next_attempt(WorkerByHand& worker, const OperationId& id) {
  worker.system().resume(id);
  worker.tell(WorkerByHand::claim(id, worker.system().operation(id).attempt));
}
void end_and_take_the_next_attempt(WorkerByHand& worker, const OperationId& id) {
  worker.tell(WorkerByHand::stopped(id, worker.system().operation(id).attempt));
  take_the_next_attempt(worker, id);
}
void cancel_at_once(WorkerByHand& worker, const OperationId& id) {
  worker.tell({"DELETE", WorkerByHand::path_of(id)});
}
void commit_one_more(WorkerByHand& worker, const OperationId& id) {
  const auto current = worker.system().operation(id).checkpoint->ref;
  worker.tell(WorkerByHand::commit(id, {1, 7}, current));
}
void complete_it(WorkerByHand& worker, const OperationId& id) {
  worker.tell(WorkerByHand::claim(id, 1));
  worker.tell(WorkerByHand::complete(id, 1));
}

const std::string kOk = "200", kConflict = "409 CONFLICT", kStale = "409 STALE",
                  kOtherVersion = "412 PRECONDITION_FAILED", kGone = "404 CHECKPOINT_NOT_FOUND";

using Worker = WorkerByHand;

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      // ---- people ----
      {"StartWithAKey",
       new_id,
       [](Worker& worker, const OperationId& id) {
         return Request{"POST", "/trainings/start", api::to_json(worker.training(id.value)), key(id)};
       },
       cancel_at_once,
       {kOk},
       kOk,
       kOk},
      {"StartUnderAChosenId",
       new_id,
       [](Worker& worker, const OperationId& id) {
         return Request{"POST", "/trainings/start", api::to_json(worker.training(id.value))};
       },
       cancel_at_once,
       {kConflict},
       kConflict,
       kConflict},
      {"ResumeWithAKey",
       &Worker::cancelled,
       [](Worker&, const OperationId& id) {
         return Request{"POST", Worker::path_of(id) + "/resume", "", key(id)};
       },
       cancel_at_once,
       {kOk},
       kOk,
       kOk},
      {"ResumeOfAVersion",
       &Worker::cancelled,
       [](Worker& worker, const OperationId& id) {
         return Request{"POST", Worker::path_of(id) + "/resume", "", if_match(worker, id)};
       },
       cancel_at_once,
       {kOtherVersion},
       kOtherVersion,
       kOtherVersion},
      {"Resume",
       &Worker::cancelled,
       [](Worker&, const OperationId& id) {
         return Request{"POST", Worker::path_of(id) + "/resume"};
       },
       [](Worker& worker, const OperationId& id) { worker.tell(Worker::claim(id, 2)); },
       {kConflict},
       kConflict,
       kConflict},
      {"RetryWithAKey",
       &Worker::failed,
       [](Worker&, const OperationId& id) {
         return Request{"POST", Worker::path_of(id) + "/retry", "", key(id)};
       },
       take_the_next_attempt,
       {kOk},
       kOk,
       kOk},
      {"RetryOfAVersion",
       &Worker::failed,
       [](Worker& worker, const OperationId& id) {
         return Request{"POST", Worker::path_of(id) + "/retry", "", if_match(worker, id)};
       },
       take_the_next_attempt,
       {},
       "",
       kOtherVersion,
       /*only_late=*/true},
      {"Cancel",
       &Worker::waiting,
       [](Worker&, const OperationId& id) {
         return Request{"DELETE", Worker::path_of(id)};
       },
       complete_it,
       {kConflict},
       kConflict,
       kConflict,
       /*only_late=*/true},
      {"CancelOfAVersion",
       &Worker::resumed,
       [](Worker& worker, const OperationId& id) {
         return Request{"DELETE", Worker::path_of(id), "", if_match(worker, id)};
       },
       take_the_next_attempt,
       {kOtherVersion},
       kOtherVersion,
       kOtherVersion},
      {"StatusCancelled",
       &Worker::resumed,
       [](Worker& worker, const OperationId& id) {
         return Request{"PATCH", Worker::path_of(id) + "/status", R"({"status":"cancelled"})",
                        if_match(worker, id)};
       },
       take_the_next_attempt,
       {kOtherVersion},
       kOtherVersion,
       kOtherVersion},
      {"StatusFailed",
       &Worker::resumed,
       [](Worker& worker, const OperationId& id) {
         return Request{"PATCH", Worker::path_of(id) + "/status",
                        R"({"status":"FAILED","error_message":"x"})", if_match(worker, id)};
       },
       take_the_next_attempt,
       {kOk, kOtherVersion},
       kOtherVersion,
       kOtherVersion},
      {"DeleteCheckpoints",
       &Worker::cancelled,
       [](Worker&, const OperationId& id) {
         return Request{"DELETE", "/checkpoints/" + id.value};
       },
       take_the_next_attempt,
       {kGone},
       kGone,
       kConflict,
       /*only_late=*/true},
      {"DeleteCheckpointsOfAVersion",
       &Worker::cancelled,
       [](Worker& worker, const OperationId& id) {
         return Request{"DELETE", "/checkpoints/" + id.value, "", if_match(worker, id)};
       },
       [](Worker& worker, const OperationId& id) {
         take_the_next_attempt(worker, id);
         worker.tell(Worker::stopped(id, 2));
       },
       {kOtherVersion},
       kOtherVersion,
       kOtherVersion,
       /*only_late=*/true},
      // ---- workers ----
      {"Claim",
       &Worker::resumed,
       [](Worker&, const OperationId& id) { return Worker::claim(id, 2); },
       end_and_take_the_next_attempt,
       {kOk},
       kOk,
       kStale},
      {"Heartbeat",
       &Worker::saved,
       [](Worker&, const OperationId& id) {
         return Request{"POST", Worker::path_of(id) + "/heartbeat",
                        api::to_json(api::HeartbeatRequest{.attempt = 1,
                                                           .worker_id = Worker::kId,
                                                           .progress = {.percentage = 40},
                                                           .epochs = {{.epoch = 0, .train_loss = 0.5}},
                                                           .warnings = {"It is late."}})};
       },
       end_and_take_the_next_attempt,
       {kOk},
       kOk,
       kStale},
      {"Metrics",
       &Worker::saved,
       [](Worker&, const OperationId& id) {
         return Request{
             "POST", Worker::path_of(id) + "/metrics",
             api::to_json(api::AddMetricsRequest{
                 .attempt = 1, .worker_id = Worker::kId, .epochs = {{.epoch = 0, .val_loss = 0.4}}})};
       },
       end_and_take_the_next_attempt,
       {kOk},
       kOk,
       kStale},
      {"Commit",
       &Worker::saved,
       [](Worker&, const OperationId& id) {
         return Worker::commit(id, {1, 2}, CheckpointRef{1, 1});
       },
       commit_one_more,
       {kOk},
       kOk,
       kConflict},
      {"CommitOfAFormerAttempt",
       &Worker::saved,
       [](Worker&, const OperationId& id) {
         return Worker::commit(id, {1, 2}, CheckpointRef{1, 1});
       },
       end_and_take_the_next_attempt,
       {kOk},
       kOk,
       kStale},
      {"Rewind",
       &Worker::saved,
       [](Worker&, const OperationId& id) {
         return Request{"POST", Worker::path_of(id) + "/rewind",
                        api::to_json(api::RewindRequest{.attempt = 1,
                                                        .worker_id = Worker::kId,
                                                        .bad = {1, 1},
                                                        .previous = {1, 0},
                                                        .reason = "Checkpoint 1-1 is damaged."})};
       },
       commit_one_more,
       {kOk},
       kOk,
       kConflict},
      {"Complete",
       &Worker::saved,
       [](Worker&, const OperationId& id) { return Worker::complete(id, 1); },
       end_and_take_the_next_attempt,
       {kOk},
       kOk,
       kStale,
       /*only_late=*/true},
      {"Fail",
       &Worker::saved,
       [](Worker&, const OperationId& id) { return Worker::fail(id, 1); },
       take_the_next_attempt,
       {kOk},
       kOk,
       kStale},
      {"Stopped",
       &Worker::saved,
       [](Worker&, const OperationId& id) { return Worker::stopped(id, 1); },
       take_the_next_attempt,
       {kOk},
       kOk,
       kStale},
  };
  return all;
}

// What must be equal where the same was applied as often: everything but names and times.
std::string story(WorkerByHand& worker, const OperationId& id) {
  nlohmann::json all = worker.send({"GET", WorkerByHand::path_of(id)}).json().at("data");
  for (const char* its_own :
       {"operation_id", "parent_operation_id", "created_at", "started_at", "completed_at",
        "last_heartbeat_at", "seconds_since_checkpoint", "seconds_at_risk"}) {
    all.erase(its_own);
  }
  if (all.at("checkpoint").is_object()) all.at("checkpoint").erase("created_at");
  all["children"] = worker.system().api().children(id)->total_count;
  return all.dump(1);
}

std::vector<Answer> send_at_once(WorkerByHand& worker, const Request& request) {
  std::vector<Answer> answers(2);
  std::latch ready(2);
  {
    std::vector<std::jthread> clients;
    for (Answer& answer : answers) {
      clients.emplace_back([&] {
        ready.arrive_and_wait();
        answer = worker.send(request);
      });
    }
  }
  return answers;
}

std::vector<std::string> outcomes_of(const std::vector<Answer>& answers) {
  std::vector<std::string> outcomes;
  for (const Answer& answer : answers) outcomes.push_back(answer.outcome());
  std::sort(outcomes.begin(), outcomes.end());
  return outcomes;
}

enum class Store { kSqlite, kPostgres };

// One server for all cases of a store: they never touch each other's operations.
struct Server {
  explicit Server(Store store) {
    SystemOptions options{.local_workers = 0, .lease_seconds = WorkerByHand::kLeaseSeconds};
    if (store == Store::kPostgres) {
      PostgresCluster::shared().create_database("repeated");
      options.serve_options = {"--database", PostgresCluster::shared().uri("repeated")};
    }
    system = std::make_unique<TestSystem>(options);
    worker = std::make_unique<WorkerByHand>(*system);
  }
  std::unique_ptr<TestSystem> system;
  std::unique_ptr<WorkerByHand> worker;
};

class RepeatedRequests : public ::testing::TestWithParam<Store> {
 protected:
  static void TearDownTestSuite() { servers_.clear(); }

  WorkerByHand& worker() {
    auto& server = servers_[GetParam()];
    if (!server) server = std::make_unique<Server>(GetParam());
    return *server->worker;
  }
  TestSystem& system() { return worker().system(); }

 private:
  static inline std::map<Store, std::unique_ptr<Server>> servers_;
};

TEST_P(RepeatedRequests, OfTwoAtOnceOneIsAppliedAndTheOtherToldSo) {
  for (const Case& one : cases()) {
    if (one.at_once.empty()) continue;
    SCOPED_TRACE(one.name);
    const OperationId once = one.scene(worker()), twice = one.scene(worker());
    EXPECT_EQ(worker().send(one.request(worker(), once)).outcome(), "200");
    const auto answers = send_at_once(worker(), one.request(worker(), twice));
    const auto outcomes = outcomes_of(answers);
    EXPECT_EQ(outcomes.front(), "200") << answers[0].body << answers[1].body;
    EXPECT_THAT(one.at_once, Contains(outcomes.back())) << answers[0].body << answers[1].body;
    if (answers[0].status == answers[1].status) {
      EXPECT_EQ(answers[0].body, answers[1].body);
    }
    EXPECT_EQ(story(worker(), twice), story(worker(), once)) << "it was applied once";
  }
}

TEST_P(RepeatedRequests, SentAgainItGetsTheSameAnswerOrARefusalAndChangesNothing) {
  for (const Case& one : cases()) {
    if (one.again.empty()) continue;
    SCOPED_TRACE(one.name);
    const OperationId id = one.scene(worker());
    const Request request = one.request(worker(), id);
    const Answer first = worker().send(request);
    EXPECT_EQ(first.outcome(), "200") << first.body;
    const std::string before = worker().everything(id);
    const Answer second = worker().send(request);
    EXPECT_EQ(second.outcome(), one.again) << second.body;
    if (second.status == 200) {
      EXPECT_EQ(second.body, first.body);
    }
    EXPECT_EQ(worker().everything(id), before);
  }
}

TEST_P(RepeatedRequests, ALateCopyChangesNothing) {
  for (const Case& one : cases()) {
    SCOPED_TRACE(one.name);
    const OperationId id = one.scene(worker());
    const Request request = one.request(worker(), id);
    Answer first;
    if (!one.only_late) first = worker().send(request);
    one.meanwhile(worker(), id);
    const std::string before = worker().everything(id);
    const Answer late = worker().send(request);
    EXPECT_EQ(late.outcome(), one.late) << late.body;
    if (late.status == 200) {
      EXPECT_EQ(late.body, first.body);
    }
    EXPECT_EQ(worker().everything(id), before);
  }
}

// Without a key two retries are two wishes; with one, two at once make one operation.
TEST_P(RepeatedRequests, AStartWithoutAChosenIdIsOneOperationUnderItsKey) {
  const Request start{
      "POST", "/trainings/start", api::to_json(worker().training()), {{"Idempotency-Key", "dawn"}}};
  const auto before = system().api().list_operations({})->total_count;
  const auto answers = send_at_once(worker(), start);
  EXPECT_EQ(answers[0].status, 200) << answers[0].body;
  EXPECT_EQ(answers[0].body, answers[1].body);
  EXPECT_EQ(system().api().list_operations({})->total_count, before + 1);
}

TEST_P(RepeatedRequests, TwoCancelsOfARunningTrainingAreAnsweredWhenItHasStopped) {
  const OperationId id = worker().saved();
  std::jthread trainer([&] {
    EXPECT_TRUE(eventually([&] { return system().operation(id).cancel_requested; }));
    EXPECT_TRUE(eventually([&] { return system().operation(id).phase == api::Phase::kCancelling; }));
    worker().tell(WorkerByHand::stopped(id, 1, api::StopReason::kCancelled));
  });
  const auto version = system().operation(id).version;
  const auto answers = send_at_once(worker(), {"DELETE", WorkerByHand::path_of(id)});
  trainer.join();
  // The second may come when the first has done its work.
  EXPECT_THAT(outcomes_of(answers), ElementsAre("200", ::testing::AnyOf("200", kConflict)));
  EXPECT_EQ(system().operation(id).status, OperationStatus::kCancelled);
  EXPECT_EQ(system().operation(id).version, version + 2) << "one request, one end";
}

TEST_P(RepeatedRequests, ACleanUpTakesWhatNobodyNamesOnceAndNeverTheLiveAttempt) {
  const OperationId ended = worker().cancelled(), live = worker().resumed();
  worker().tell(WorkerByHand::claim(live, 2));
  const auto object = [&](const OperationId& id, const std::string& name) {
    const auto folder = system().data_dir() / "checkpoints" / id.value / name;
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "manifest.json") << "{}";
    return folder;
  };
  const auto orphan = object(ended, "1-5"), named = object(ended, "1-1"), fresh = object(live, "2-9");
  const Request clean_up{"POST", "/checkpoints/cleanup?max_age_days=30"};
  const std::string before = worker().everything(ended) + worker().everything(live);
  const auto cleaned = [](const Answer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.json().at("orphan_artifacts_cleaned").get<int>();
  };
  const auto answers = send_at_once(worker(), clean_up);
  // Removing what is gone is no error, so both may have found the orphan.
  EXPECT_THAT((std::vector<int>{cleaned(answers[0]), cleaned(answers[1])}), Contains(1));
  EXPECT_FALSE(std::filesystem::exists(orphan));
  EXPECT_EQ(cleaned(worker().send(clean_up)), 0);
  EXPECT_TRUE(std::filesystem::exists(named));
  EXPECT_TRUE(std::filesystem::exists(fresh)) << "its worker may just be about to commit it";
  EXPECT_EQ(worker().everything(ended) + worker().everything(live), before);
}

// What the next If-Match must name.
TEST_P(RepeatedRequests, EveryAnswerTellsTheVersionThatTheOperationHasNow) {
  for (const Case& one : cases()) {
    SCOPED_TRACE(one.name);
    const OperationId id = one.scene(worker());
    const Request request = one.request(worker(), id);
    const nlohmann::json answer = worker().send(request).json();
    const nlohmann::json& told = answer.contains("data") ? answer.at("data") : answer;
    const OperationId changed{told.value("operation_id", id.value)};  // a retry makes another one
    EXPECT_EQ(told.value("version", std::int64_t{-1}), system().operation(changed).version);
  }
}

// A new route that changes something fails here until it has a row in the table.
TEST_P(RepeatedRequests, TheTableHasEveryRouteThatChangesSomething) {
  std::set<std::string> asked = {"POST /checkpoints/cleanup",
                                 "POST /workers/register"};  // tests of their own
  for (const Case& one : cases()) {
    const OperationId id = one.scene(worker());
    const Request request = one.request(worker(), id);
    std::string path = request.path;
    if (const auto at = path.find(id.value); at != std::string::npos) {
      path.replace(at, id.value.size(), "{operation_id}");
    }
    asked.insert(request.method + " " + path);
  }
  std::set<std::string> changing;
  const auto document = worker().send({"GET", "/openapi.json"}).json();
  for (const auto& [path, methods] : document.at("paths").items()) {
    for (const auto& [method, name] : std::map<std::string, std::string>{
             {"post", "POST"}, {"put", "PUT"}, {"patch", "PATCH"}, {"delete", "DELETE"}}) {
      if (methods.contains(method)) changing.insert(name + " " + path.substr(std::string("/api/v1").size()));
    }
  }
  EXPECT_EQ(asked, changing);
}

INSTANTIATE_TEST_SUITE_P(Stores, RepeatedRequests, ::testing::Values(Store::kSqlite, Store::kPostgres),
                         [](const auto& store) {
                           return store.param == Store::kSqlite ? "Sqlite" : "Postgres";
                         });

// The sign of life of a worker: its own server, because others would be given work of these tests.
TEST(RepeatedRegistration, IsOneWorkerAndALateOneIsUndoneByTheNextSignOfLife) {
  TestSystem system({.local_workers = 0});
  WorkerByHand worker(system);
  const auto registration = [](const std::string& id) {
    return Request{"POST", "/workers/register",
                   api::to_json(api::WorkerRegistration{
                       .worker_id = id, .name = "desk", .endpoint_url = "http://127.0.0.1:9"})};
  };
  const auto ids = [&] {
    std::vector<std::string> found;
    for (const auto& info : *system.api().workers()) found.push_back(info.worker_id);
    return found;
  };
  const auto answers = send_at_once(worker, registration("worker-old"));
  EXPECT_THAT(outcomes_of(answers), ElementsAre("200", "200"));
  worker.tell(registration("worker-old"));
  EXPECT_THAT(ids(), ElementsAre("worker-old"));
  worker.tell(registration("worker-new"));
  EXPECT_THAT(ids(), ElementsAre("worker-new")) << "a new process at the same address";
  worker.tell(registration("worker-old"));
  worker.tell(registration("worker-new"));
  EXPECT_THAT(ids(), ElementsAre("worker-new"));
}

}  // namespace
}  // namespace ktrdr::system_test
