// The Python project's command line against our server: what each of its commands sends, byte by byte, and
// every field that it reads from the answer, with the type it can read. It knows no token and writes its own
// JSON. Two things make it stricter than our own client. It reads a field that is null as null, not as
// absent: so where it formats or looks into a value, the key must be left out when there is none. And it
// shows the text in "detail" through a markup language in which "[/" is an error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <optional>

#include "support/kept_connection.h"
#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

constexpr const char* kId = "op_training_[0-9]+_[0-9]+_[0-9a-f]+";
constexpr const char* kTime = "20[0-9-]+T[0-9:.]+Z";
constexpr const char* kNobody = "op_training_20200101_000000_00000000";

// One command: it sends all its requests over one connection, as long as the server keeps it.
class PythonClient {
 public:
  explicit PythonClient(int port) : port_(port) {}

  KeptAnswer get(const std::string& path) { return send("GET", path, "", "", ""); }
  KeptAnswer remove(const std::string& path) { return send("DELETE", path, "", "", ""); }
  KeptAnswer post_nothing(const std::string& path) {
    return send("POST", path, "Content-Length: 0\r\n", "", "");
  }
  KeptAnswer post(const std::string& path, const std::string& body) {
    return send("POST", path, "", about(body), body);
  }
  KeptAnswer remove(const std::string& path, const std::string& body) {
    return send("DELETE", path, "", about(body), body);
  }
  int connections() const { return connections_; }
  void trace_with(const std::string& header) { trace_ = header + "\r\n"; }  // as its tracing does

 private:
  static std::string about(const std::string& body) {
    return "Content-Length: " + std::to_string(body.size()) + "\r\nContent-Type: application/json\r\n";
  }

  KeptAnswer send(const std::string& method, const std::string& path, const std::string& first,
                  const std::string& last, const std::string& body) {
    const std::string head = method + " /api/v1" + path +
                             " HTTP/1.1\r\nHost: localhost:" + std::to_string(port_) + "\r\n" + first +
                             "Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n"
                             "User-Agent: python-httpx/0.23.3\r\n" +
                             trace_ + last + "\r\n";
    if (!connection_) connect();
    KeptAnswer answer = connection_->exchange(head, body);
    EXPECT_FALSE(answer.body.is_discarded()) << method << " " << path << ": the answer is not JSON";
    if (answer.head.find("\r\nConnection: close\r\n") != std::string::npos) connection_.reset();
    return answer;
  }

  void connect() {
    connection_.emplace(port_);
    ++connections_;
  }

  const int port_;
  std::string trace_;
  std::optional<KeptConnection> connection_;
  int connections_ = 0;
};

// What it prints of a refusal, and its exit code 1.
void expect_refused(const KeptAnswer& answer, const std::string& words) {
  EXPECT_GE(answer.status, 400) << answer.body;
  EXPECT_LT(answer.status, 500) << "it repeats a request that was answered with 5xx";
  ASSERT_TRUE(answer.body.is_object()) << answer.body;
  ASSERT_TRUE(answer.body.value("detail", json()).is_string()) << answer.body;
  const std::string detail = answer.body.at("detail");
  EXPECT_THAT(detail, HasSubstr(words));
  EXPECT_THAT(detail, Not(HasSubstr("[/")));
}

bool is_text_or_null(const json& value) { return value.is_string() || value.is_null(); }
bool is_number_or_null(const json& value) { return value.is_number() || value.is_null(); }

// The object that follow, status, resume and train read again and again.
void expect_followable(const KeptAnswer& answer) {
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body.at("success"), true);
  const json& data = answer.body.at("data");
  EXPECT_THAT(data.at("operation_id").get<std::string>(), MatchesRegex(kId));
  EXPECT_EQ(data.at("operation_type"), "training");
  EXPECT_TRUE(data.at("status").is_string());
  EXPECT_TRUE(data.at("progress").is_object());
  EXPECT_TRUE(data.at("progress").at("percentage").is_number());
  EXPECT_GE(data.at("progress").at("percentage").get<double>(), 0);
  EXPECT_LE(data.at("progress").at("percentage").get<double>(), 100);
  EXPECT_TRUE(data.at("progress").at("current_step").is_string());
  EXPECT_TRUE(is_text_or_null(data.at("error_message")));
}

class PythonCli : public ::testing::Test {
 protected:
  PythonCli() {
    for (const int epochs : {3, 5000}) {
      write_strategy("train" + std::to_string(epochs), demanding_strategy(epochs));
    }
    system_.wait_for_a_free_worker();
  }

  void write_strategy(const std::string& name, const std::string& text) const {
    std::ofstream(system_.strategies() / (name + ".yaml")) << text;
  }

  PythonClient client() const { return PythonClient(port()); }
  int port() const {
    const std::string url = system_.url();
    return std::stoi(url.substr(url.rfind(':') + 1));
  }

  // As `train NAME --start ... --end ...` writes it.
  static std::string start_body(const std::string& strategy, const std::string& more = "") {
    return R"({"strategy_name": ")" + strategy + R"(", "detailed_analytics": false)" + more +
           R"(, "start_date": "2000-01-01", "end_date": "2040-01-01"})";
  }

  OperationId start(const std::string& strategy) {
    const auto started = client().post("/trainings/start", start_body(strategy));
    EXPECT_EQ(started.status, 200) << started.body;
    return {started.body.value("task_id", "none")};
  }

  OperationId start_with_a_checkpoint() {
    const OperationId id = start("train5000");
    EXPECT_TRUE(eventually([&] {
      const auto checkpoint = system_.operation(id).checkpoint;
      return checkpoint && checkpoint->epoch;
    }));
    return id;
  }

  OperationId cancelled_with_a_checkpoint() {
    const OperationId id = start_with_a_checkpoint();
    EXPECT_EQ(client().remove("/operations/" + id.value).status, 200);
    return id;
  }

  // Asks over one connection until the operation has ended, as `follow` does; the last answer.
  KeptAnswer follow(PythonClient& client, const OperationId& id) {
    KeptAnswer last;
    EXPECT_TRUE(eventually(
        [&] {
          last = client.get("/operations/" + id.value);
          expect_followable(last);
          if (last.status != 200) return true;
          const std::string status = last.body.at("data").at("status");
          return status == "completed" || status == "failed" || status == "cancelled";
        },
        std::chrono::seconds(60)));
    return last;
  }

  TestSystem system_{{.without_tokens = true}};
};

TEST_F(PythonCli, StatusCountsOperationsAndWorkersOfAnEmptyServer) {
  PythonClient python = client();
  const auto operations = python.get("/operations");
  ASSERT_EQ(operations.status, 200) << operations.body;
  EXPECT_EQ(operations.body.at("data"), json::array());
  const auto workers = python.get("/workers");
  ASSERT_EQ(workers.status, 200) << workers.body;
  ASSERT_TRUE(workers.body.is_array()) << "an envelope would count as no worker";
  EXPECT_EQ(workers.body.size(), 1u);
}

TEST_F(PythonCli, WorkersReadsABareListOfWorkers) {
  const OperationId id = start("train5000");
  system_.wait_for_step(id, 1);
  const auto answer = client().get("/workers");
  ASSERT_EQ(answer.status, 200);
  ASSERT_TRUE(answer.body.is_array()) << answer.body;
  ASSERT_EQ(answer.body.size(), 1u);
  const json& worker = answer.body.at(0);
  EXPECT_EQ(worker.at("worker_type"), "training");
  EXPECT_EQ(worker.at("status"), "busy");
  EXPECT_TRUE(worker.at("capabilities").is_object()) << worker;
  EXPECT_THAT(worker.at("endpoint_url").get<std::string>(), HasSubstr("http://"))
      << "it takes the length of it";
  EXPECT_EQ(worker.at("current_operation_id"), id.value);
}

TEST_F(PythonCli, TrainReadsTheOperationIdAsTaskId) {
  const auto answer = client().post("/trainings/start", start_body("train3"));
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(answer.body.at("task_id").get<std::string>(), MatchesRegex(kId));
}

TEST_F(PythonCli, TrainMayNameWhatTheStrategyTrainsOn) {
  const auto named = client().post("/trainings/start",
                                   start_body("train3", R"(, "symbols": ["TEST"], "timeframes": ["1h"])"));
  EXPECT_EQ(named.status, 200) << named.body;
  expect_refused(client().post("/trainings/start", start_body("train3", R"(, "symbols": ["AAPL"])")),
                 "symbols");
  expect_refused(client().post("/trainings/start", start_body("train3", R"(, "timeframes": ["5m"])")),
                 "timeframes");
}

// Newer versions of its HTTP library write JSON without blanks; its tracing sends a header of its own.
TEST_F(PythonCli, TrainMayBeWrittenCompactlyAndTraced) {
  PythonClient python = client();
  python.trace_with("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  const auto answer = python.post(
      "/trainings/start",
      R"({"strategy_name":"train3","detailed_analytics":true,"start_date":"2000-01-01","end_date":"2040-01-01"})");
  EXPECT_EQ(answer.status, 200) << answer.body;
}

TEST_F(PythonCli, TrainPrintsWhyATrainingIsRefused) {
  PythonClient python = client();
  expect_refused(python.post("/trainings/start", start_body("nowhere")), "strategy");
  expect_refused(python.post("/trainings/start", start_body("../train3")), "strategy_name");
  expect_refused(
      python.post("/trainings/start", R"({"strategy_name": "train3", "detailed_analytics": false, )"
                                      R"("start_date": "yesterday", "end_date": "2040-01-01"})"),
      "date");
  expect_refused(
      python.post("/trainings/start", R"({"strategy_name": "train3", "detailed_analytics": false, )"
                                      R"("start_date": "1990-01-01", "end_date": "1991-01-01"})"),
      "no bars");
  EXPECT_EQ(python.get("/operations").body.at("total_count"), 0) << "a refusal starts nothing";
}

TEST_F(PythonCli, TrainFollowPollsOneConnectionToTheResults) {
  PythonClient python = client();
  const auto started = python.post("/trainings/start", start_body("train3"));
  ASSERT_EQ(started.status, 200) << started.body;
  const auto last = follow(python, {started.body.at("task_id")});
  EXPECT_EQ(python.connections(), 1);
  const json& data = last.body.at("data");
  EXPECT_EQ(data.at("status"), "completed");
  EXPECT_EQ(data.at("progress").at("percentage"), 100);
  ASSERT_TRUE(data.at("result_summary").is_object()) << data;
  EXPECT_TRUE(std::filesystem::exists(data.at("result_summary").at("model_path").get<std::string>()));
  const json& metrics = data.at("result_summary").at("training_metrics");
  EXPECT_EQ(metrics.at("epochs_trained"), 3);
  EXPECT_TRUE(metrics.at("final_val_loss").is_number());
}

// Ctrl-C: it deletes over the connection it polls with, and asks half a second later what has become of it.
TEST_F(PythonCli, CtrlCInTrainFollowFindsTheTrainingCancelled) {
  PythonClient python = client();
  const auto started = python.post("/trainings/start", start_body("train5000"));
  ASSERT_EQ(started.status, 200) << started.body;
  const OperationId id{started.body.at("task_id")};
  system_.wait_for_step(id, 20);
  EXPECT_EQ(python.remove("/operations/" + id.value).status, 200);
  const auto after = python.get("/operations/" + id.value);
  expect_followable(after);
  EXPECT_EQ(after.body.at("data").at("status"), "cancelled");
}

TEST_F(PythonCli, OpsReadsEveryRowAndItsCheckpoint) {
  const OperationId running = start_with_a_checkpoint();
  const OperationId waiting = start("train5000");
  PythonClient python = client();
  const auto list = python.get("/operations?limit=50&offset=0");
  ASSERT_EQ(list.status, 200) << list.body;
  ASSERT_EQ(list.body.at("data").size(), 2u);
  EXPECT_EQ(list.body.at("data").at(0).at("operation_id"), waiting.value) << "newest first";
  EXPECT_EQ(list.body.at("data").at(1).at("operation_id"), running.value);
  for (const json& row : list.body.at("data")) {
    EXPECT_EQ(row.at("operation_type"), "training");
    EXPECT_THAT(row.at("status").get<std::string>(), MatchesRegex("[a-z]+"));
    EXPECT_TRUE(row.at("progress_percentage").is_number());
    EXPECT_EQ(row.at("symbol"), "TEST");
    EXPECT_TRUE(is_number_or_null(row.at("duration_seconds"))) << row;
  }
  const auto checkpoint = python.get("/checkpoints/" + running.value);
  ASSERT_EQ(checkpoint.status, 200) << checkpoint.body;
  EXPECT_EQ(checkpoint.body.at("success"), true) << "what ops calls resumable";
  EXPECT_TRUE(checkpoint.body.at("data").at("state").at("epoch").is_number_integer());
  const auto none = python.get("/checkpoints/" + waiting.value);
  EXPECT_EQ(none.status, 404) << none.body;
  EXPECT_EQ(none.body.at("success"), false);
}

TEST_F(PythonCli, OpsFiltersByStatusTypeAndActivity) {
  const OperationId done = start("train3");
  system_.wait_for_status(done, OperationStatus::kCompleted);
  const OperationId running = start("train5000");
  system_.wait_for_step(running, 1);
  PythonClient python = client();
  const std::map<std::string, std::vector<std::string>> filters = {
      {"&status=running", {running.value}},
      {"&status=completed", {done.value}},
      {"&status=failed", {}},
      {"&operation_type=training", {running.value, done.value}},
      {"&operation_type=backtesting", {}},
      {"&active_only=true", {running.value}},
      {"&status=completed&operation_type=training", {done.value}}};
  for (const auto& [filter, expected] : filters) {
    const auto list = python.get("/operations?limit=50&offset=0" + filter);
    ASSERT_EQ(list.status, 200) << filter << list.body;
    std::vector<std::string> ids;
    for (const json& row : list.body.at("data")) ids.push_back(row.at("operation_id"));
    EXPECT_EQ(ids, expected) << filter;
  }
  EXPECT_EQ(python.get("/operations?limit=1&offset=0").body.at("data").size(), 1u);
  expect_refused(python.get("/operations?limit=0&offset=0"), "limit");
  expect_refused(python.get("/operations?limit=50&offset=0&status=bogus"), "status");
}

TEST_F(PythonCli, StatusAndFollowOfAnUnknownIdAreNotFound) {
  PythonClient python = client();
  expect_refused(python.get(std::string("/operations/") + kNobody), "not found");
  expect_refused(python.get("/operations/no%20such%20id"), "");
}

// DELETE without options has neither body nor length.
TEST_F(PythonCli, CancelReadsWhatWasCancelledWhenAndWhy) {
  const OperationId id = start("train5000");
  system_.wait_for_step(id, 20);
  const auto answer = client().remove("/operations/" + id.value);
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json& data = answer.body.at("data");
  EXPECT_EQ(data.at("operation_id"), id.value);
  EXPECT_EQ(data.at("status"), "cancelled");
  EXPECT_THAT(data.at("cancelled_at").get<std::string>(), MatchesRegex(kTime));
  EXPECT_TRUE(is_text_or_null(data.at("cancellation_reason")));
}

TEST_F(PythonCli, CancelMaySendItsReasonAndForce) {
  const OperationId first = start("train5000");
  const OperationId second = start("train5000");
  const OperationId third = start("train5000");
  const auto reason = client().remove("/operations/" + first.value, R"({"reason": "enough"})");
  ASSERT_EQ(reason.status, 200) << reason.body;
  EXPECT_EQ(reason.body.at("data").at("cancellation_reason"), "enough");
  EXPECT_EQ(client().remove("/operations/" + second.value, R"({"force": true})").status, 200);
  EXPECT_EQ(client().remove("/operations/" + third.value, R"({"reason": "enough", "force": true})").status,
            200);
}

TEST_F(PythonCli, CancelOfWhatCannotBeCancelledIsRefused) {
  const OperationId id = start("train3");
  system_.wait_for_status(id, OperationStatus::kCompleted);
  expect_refused(client().remove("/operations/" + id.value), "completed");
  expect_refused(client().remove(std::string("/operations/") + kNobody), "not found");
  EXPECT_EQ(system_.operation(id).status, OperationStatus::kCompleted);
}

TEST_F(PythonCli, ResumeReadsFromWhereAndFollowsOnANewConnection) {
  const OperationId id = cancelled_with_a_checkpoint();
  const auto answer = client().post_nothing("/operations/" + id.value + "/resume");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body.at("success"), true);
  const json& data = answer.body.at("data");
  EXPECT_EQ(data.at("operation_id"), id.value);
  EXPECT_TRUE(data.at("status").is_string());
  ASSERT_TRUE(data.at("resumed_from").is_object()) << data;
  EXPECT_EQ(data.at("resumed_from").at("checkpoint_type"), "cancellation");
  EXPECT_TRUE(data.at("resumed_from").at("epoch").is_number_integer()) << data;
  expect_followable(client().get("/operations/" + id.value));
}

TEST_F(PythonCli, FollowOfAResumedTrainingEndsWithWhyItFailed) {
  const OperationId id = cancelled_with_a_checkpoint();
  ASSERT_EQ(client().post_nothing("/operations/" + id.value + "/resume").status, 200);
  system_.signal_worker(id, SIGKILL);
  PythonClient python = client();
  const auto last = follow(python, id);
  EXPECT_EQ(last.body.at("data").at("status"), "failed");
  ASSERT_TRUE(last.body.at("data").at("error_message").is_string()) << "null is printed as None";
  EXPECT_THAT(last.body.at("data").at("error_message").get<std::string>(), Not(HasSubstr("[/")));
}

TEST_F(PythonCli, ResumeOfWhatCannotBeResumedIsRefused) {
  const OperationId done = start("train3");
  system_.wait_for_status(done, OperationStatus::kCompleted);
  expect_refused(client().post_nothing("/operations/" + done.value + "/resume"), "already completed");
  const OperationId running = start_with_a_checkpoint();
  expect_refused(client().post_nothing("/operations/" + running.value + "/resume"), "already running");
  const OperationId waiting = start("train5000");
  ASSERT_EQ(client().remove("/operations/" + waiting.value).status, 200);
  expect_refused(client().post_nothing("/operations/" + waiting.value + "/resume"), "checkpoint");
  expect_refused(client().post_nothing(std::string("/operations/") + kNobody + "/resume"), "not found");
  EXPECT_EQ(system_.operation(waiting).status, OperationStatus::kCancelled) << "a refusal changes nothing";
}

TEST_F(PythonCli, CheckpointsShowAsksForHealthAndReadsTheCheckpoint) {
  const OperationId id = cancelled_with_a_checkpoint();
  PythonClient python = client();
  EXPECT_EQ(python.get("/health").status, 200);
  const auto answer = python.get("/checkpoints/" + id.value);
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body.at("success"), true);
  const json& data = answer.body.at("data");
  EXPECT_EQ(data.at("operation_id"), id.value);
  EXPECT_EQ(data.at("checkpoint_type"), "cancellation");
  EXPECT_THAT(data.at("created_at").get<std::string>(), MatchesRegex(kTime));
  EXPECT_TRUE(std::filesystem::exists(data.at("artifacts_path").get<std::string>()));
  ASSERT_TRUE(data.at("state").is_object()) << data;
  EXPECT_TRUE(data.at("state").at("epoch").is_number_integer()) << data;
}

TEST_F(PythonCli, CheckpointsDeleteLooksBeforeItDeletes) {
  const OperationId id = cancelled_with_a_checkpoint();
  PythonClient python = client();
  EXPECT_EQ(python.get("/health").status, 200);
  EXPECT_EQ(python.get("/checkpoints/" + id.value).status, 200);
  const auto deleted = python.remove("/checkpoints/" + id.value);
  EXPECT_EQ(deleted.status, 200) << deleted.body;
  EXPECT_EQ(deleted.body.at("success"), true);
  EXPECT_EQ(python.get("/checkpoints/" + id.value).status, 404);
}

TEST_F(PythonCli, CheckpointsDeleteOfARunningTrainingIsRefused) {
  const OperationId id = start_with_a_checkpoint();
  PythonClient python = client();
  expect_refused(python.remove("/checkpoints/" + id.value), "running");
  EXPECT_EQ(python.get("/checkpoints/" + id.value).status, 200) << "it is still there";
}

// Its server has a status more than ours while a resumed operation waits for its worker.
TEST_F(PythonCli, OpsMayAskForWhatIsResuming) {
  const OperationId id = start("train5000");
  system_.wait_for_step(id, 1);
  const auto list = client().get("/operations?limit=50&offset=0&status=resuming");
  ASSERT_EQ(list.status, 200) << list.body;
  EXPECT_EQ(list.body.at("data"), json::array()) << "it runs, and was never resumed";
}

TEST_F(PythonCli, TrainFollowPrintsTheFinalLoss) {
  PythonClient python = client();
  const OperationId id = start("train3");
  const auto last = follow(python, id);
  const json& metrics = last.body.at("data").at("result_summary").at("training_metrics");
  ASSERT_TRUE(metrics.at("final_loss").is_number()) << metrics;
  EXPECT_EQ(metrics.at("final_loss"), metrics.at("final_train_loss"));
}

// These are formatted with four decimals: a null is an error, a missing key is a missing line.
void expect_printable_state(const json& state) {
  ASSERT_TRUE(state.is_object()) << state;
  for (const char* name : {"train_loss", "val_loss", "best_val_loss", "learning_rate", "total_epochs"}) {
    EXPECT_TRUE(!state.contains(name) || state.at(name).is_number()) << name << " of " << state;
  }
}

TEST_F(PythonCli, CheckpointsShowPrintsEpochsAndLosses) {
  const OperationId id = cancelled_with_a_checkpoint();
  const auto answer = client().get("/checkpoints/" + id.value);
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json& state = answer.body.at("data").at("state");
  expect_printable_state(state);
  for (const char* name : {"train_loss", "val_loss", "best_val_loss", "learning_rate"}) {
    EXPECT_TRUE(state.contains(name)) << name << " of " << state;
  }
  EXPECT_EQ(state.at("total_epochs"), 5000);
  const auto epochs = system_.operation(id).metrics->epochs;
  const auto& row = epochs.at(state.at("epoch").get<std::size_t>());
  EXPECT_EQ(state.at("train_loss"), *row.train_loss) << "of the checkpoint's epoch";
  EXPECT_EQ(state.at("val_loss"), *row.val_loss);
  EXPECT_LE(state.at("best_val_loss"), state.at("val_loss"));
}

TEST_F(PythonCli, CheckpointsShowOfAnUnfinishedFirstEpochHasNothingItCannotPrint) {
  std::string slow = demanding_strategy(5000);
  const std::string batches = "batch_size: 32";
  write_strategy("slow", slow.replace(slow.find(batches), batches.size(), "batch_size: 1"));
  const OperationId id = start("slow");
  system_.wait_for_step(id, 1);
  ASSERT_EQ(client().remove("/operations/" + id.value).status, 200);
  ASSERT_FALSE(system_.operation(id).checkpoint->epoch) << "it was faster than this test";
  const auto answer = client().get("/checkpoints/" + id.value);
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json& state = answer.body.at("data").at("state");
  expect_printable_state(state);
  for (const char* name : {"train_loss", "val_loss", "best_val_loss"}) {
    EXPECT_FALSE(state.contains(name)) << name << " of " << state;
  }
}

// It says "No checkpoint found" when it finds these words, and otherwise shows them as an error.
TEST_F(PythonCli, AMissingCheckpointIsCalledNotFound) {
  const OperationId id = start("train3");
  system_.wait_for_status(id, OperationStatus::kCompleted);
  PythonClient python = client();
  for (const std::string& path : {"/checkpoints/" + id.value, std::string("/checkpoints/") + kNobody}) {
    const auto shown = python.get(path);
    EXPECT_EQ(shown.status, 404) << path;
    expect_refused(shown, "not found");
    const auto deleted = python.remove(path);
    EXPECT_EQ(deleted.status, 404) << path;
    expect_refused(deleted, "not found");
  }
}

TEST_F(PythonCli, ListCheckpointsOfAnEmptyServerIsAnEmptyList) {
  const auto answer = client().get("/checkpoints");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body.at("success"), true);
  EXPECT_EQ(answer.body.at("data"), json::array());
  EXPECT_EQ(answer.body.at("total_count"), 0);
}

TEST_F(PythonCli, ListCheckpointsReadsOneRowAnOperation) {
  const OperationId older = cancelled_with_a_checkpoint();
  const OperationId newer = cancelled_with_a_checkpoint();
  const auto answer = client().get("/checkpoints");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body.at("total_count"), 2);
  ASSERT_EQ(answer.body.at("data").size(), 2u) << "the predecessor of each is not listed";
  EXPECT_EQ(answer.body.at("data").at(0).at("operation_id"), newer.value) << "newest first";
  EXPECT_EQ(answer.body.at("data").at(1).at("operation_id"), older.value);
  for (const json& row : answer.body.at("data")) {
    EXPECT_EQ(row.at("checkpoint_type"), "cancellation");
    EXPECT_THAT(row.at("created_at").get<std::string>(), MatchesRegex(kTime));
    ASSERT_TRUE(row.at("state_summary").is_object()) << "it looks for a key in it";
    EXPECT_TRUE(row.at("state_summary").at("epoch").is_number_integer()) << row;
    EXPECT_GT(row.at("artifacts_size_bytes"), 0);
  }
}

// ---- what older versions of it could do, and the rest of what its server serves ----

TEST_F(PythonCli, RetryStartsANewOperationBesideTheFailedOne) {
  const OperationId id = start("train5000");
  system_.wait_for_step(id, 1);
  system_.signal_worker(id, SIGKILL);
  system_.wait_for_status(id, OperationStatus::kFailed);
  PythonClient python = client();
  EXPECT_EQ(python.get("/operations/" + id.value + "/children").body.at("data"), json::array());
  const auto retried = python.post_nothing("/operations/" + id.value + "/retry");
  ASSERT_EQ(retried.status, 200) << retried.body;
  EXPECT_EQ(retried.body.at("success"), true);
  const std::string retry = retried.body.at("data").at("operation_id");
  EXPECT_NE(retry, id.value);
  EXPECT_TRUE(retried.body.at("data").at("status").is_string());
  const auto children = python.get("/operations/" + id.value + "/children");
  ASSERT_EQ(children.status, 200) << children.body;
  ASSERT_EQ(children.body.at("data").size(), 1u);
  const json& child = children.body.at("data").at(0);
  EXPECT_EQ(child.at("operation_id"), retry);
  EXPECT_EQ(child.at("operation_type"), "training");
  EXPECT_TRUE(child.at("status").is_string());
  EXPECT_TRUE(child.at("progress_percentage").is_number());
}

TEST_F(PythonCli, RetryAndChildrenOfAnUnknownIdAreNotFound) {
  PythonClient python = client();
  const std::string path = std::string("/operations/") + kNobody;
  EXPECT_EQ(python.post_nothing(path + "/retry").status, 404);
  expect_refused(python.post_nothing(path + "/retry"), "not found");
  expect_refused(python.get(path + "/children"), "not found");
}

TEST_F(PythonCli, RetryOfACompletedTrainingIsRefused) {
  const OperationId id = start("train3");
  system_.wait_for_status(id, OperationStatus::kCompleted);
  expect_refused(client().post_nothing("/operations/" + id.value + "/retry"), "completed");
  EXPECT_EQ(client().get("/operations").body.at("total_count"), 1) << "nothing was started";
}

TEST_F(PythonCli, CheckpointStatsAreFlat) {
  PythonClient python = client();
  const auto before = python.get("/checkpoints/stats");
  ASSERT_EQ(before.status, 200) << before.body;
  EXPECT_EQ(before.body.at("success"), true);
  EXPECT_EQ(before.body.at("total_checkpoints"), 0);
  EXPECT_EQ(before.body.at("total_size_bytes"), 0);
  EXPECT_TRUE(before.body.at("oldest_checkpoint").is_null());
  cancelled_with_a_checkpoint();
  const auto after = python.get("/checkpoints/stats");
  EXPECT_EQ(after.body.at("total_checkpoints"), 1);
  EXPECT_GT(after.body.at("total_size_bytes"), 0);
  EXPECT_THAT(after.body.at("oldest_checkpoint").get<std::string>(), MatchesRegex(kTime));
}

TEST_F(PythonCli, CheckpointCleanupSparesWhatIsYoung) {
  const OperationId id = cancelled_with_a_checkpoint();
  PythonClient python = client();
  const auto answer = python.post_nothing("/checkpoints/cleanup?max_age_days=1");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body.at("success"), true);
  EXPECT_EQ(answer.body.at("checkpoints_deleted"), 0);
  EXPECT_TRUE(answer.body.at("orphan_artifacts_cleaned").is_number_integer());
  EXPECT_EQ(python.get("/checkpoints/" + id.value).status, 200);
  expect_refused(python.post_nothing("/checkpoints/cleanup?max_age_days=0"), "max_age_days");
}

}  // namespace
}  // namespace ktrdr::system_test
