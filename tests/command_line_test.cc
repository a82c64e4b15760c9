// The command line against a real server and worker, as a person uses it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class CommandLine : public ::testing::Test {
 protected:
  std::string strategy(int epochs) {
    const auto path = system_.folder() / ("strategy-" + std::to_string(epochs) + ".yaml");
    std::ofstream(path) << demanding_strategy(epochs);
    return path;
  }

  std::string text_of(const std::filesystem::path& file) {
    std::ifstream stream(file);
    std::stringstream text;
    text << stream.rdbuf();
    return text.str();
  }

  OperationId only_operation() {
    const auto page = system_.api().list_operations({});
    return {page.ok() && !page->data.empty() ? page->data.front().operation_id : ""};
  }

  TestSystem system_;
};

TEST_F(CommandLine, TrainFollowEndsWithTheModelAndItsHash) {
  const auto done =
      system_.ktrdr({"train", strategy(4), "--data", system_.market(), "--seed", "3", "--follow"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  const auto operation = system_.operation(only_operation());
  const std::string sha = api::member_of(*operation.result_summary, "model_sha256");
  EXPECT_EQ(sha.size(), 64u);
  EXPECT_THAT(done.out + done.err, HasSubstr(sha));
  EXPECT_THAT(done.err, HasSubstr("epoch"));
  EXPECT_EQ(api::member_of(*operation.result_summary, "seed"), "3");
}

TEST_F(CommandLine, CtrlCInTrainFollowCancelsAndPrintsTheResumeCommand) {
  Command command = system_.ktrdr_command({"train", strategy(5000), "--data", system_.market(), "--follow"});
  command.output = system_.folder() / "train.log";
  ChildProcess train(command);
  ASSERT_TRUE(eventually([&] { return !only_operation().value.empty(); }));
  const OperationId id = only_operation();
  system_.wait_for_step(id, 20);
  train.signal(SIGINT);
  EXPECT_EQ(train.wait(std::chrono::seconds(20)), 130);
  EXPECT_EQ(system_.operation(id).status, OperationStatus::kCancelled);
  EXPECT_THAT(text_of(command.output), HasSubstr("ktrdr resume " + id.value));
}

TEST_F(CommandLine, CtrlCInFollowOnlyDetaches) {
  const OperationId id = system_.start_training({.strategy_yaml = demanding_strategy(5000)});
  system_.wait_for_step(id, 20);
  Command command = system_.ktrdr_command({"follow", id.value});
  command.output = system_.folder() / "follow.log";
  ChildProcess follow(command);
  ASSERT_TRUE(eventually([&] { return text_of(command.output).find("epoch") != std::string::npos; }));
  follow.signal(SIGINT);
  EXPECT_EQ(follow.wait(std::chrono::seconds(10)), 0);
  EXPECT_EQ(system_.operation(id).status, OperationStatus::kRunning);
  EXPECT_TRUE(system_.api().cancel(id, {}).ok());
}

TEST_F(CommandLine, AWholeLifeWithJson) {
  const auto started = system_.ktrdr({"--json", "train", strategy(5000), "--data", system_.market()});
  ASSERT_EQ(started.exit_code, 0) << started.err;
  const std::string id = api::member_of({started.out}, "operation_id");
  ASSERT_FALSE(id.empty()) << started.out;
  system_.wait_for_step({id}, 20);

  EXPECT_EQ(api::member_of({system_.ktrdr({"status", id, "--json"}).out}, "status"), "running");
  EXPECT_THAT(system_.ktrdr({"ops", "--json"}).out, HasSubstr(id));
  EXPECT_THAT(system_.ktrdr({"ops"}).out, HasSubstr(id));
  EXPECT_THAT(system_.ktrdr({"workers", "--json"}).out, HasSubstr("\"busy\""));

  const auto cancelled = system_.ktrdr({"cancel", id, "--reason", "tea", "--json"});
  EXPECT_EQ(cancelled.exit_code, 0) << cancelled.err;
  EXPECT_EQ(api::member_of({cancelled.out}, "status"), "cancelled");
  const auto checkpoint = system_.ktrdr({"checkpoints", "show", id, "--json"});
  EXPECT_EQ(checkpoint.exit_code, 0) << checkpoint.err;
  EXPECT_THAT(checkpoint.out, HasSubstr("cancellation"));

  const auto resumed = system_.ktrdr({"resume", id, "--json"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(api::member_of({resumed.out}, "status"), "running");
  EXPECT_NE(system_.ktrdr({"checkpoints", "delete", id, "--force"}).exit_code, 0) << "not while it runs";
  EXPECT_EQ(system_.ktrdr({"cancel", id}).exit_code, 0);
  EXPECT_EQ(system_.ktrdr({"checkpoints", "delete", id, "--force"}).exit_code, 0);
  EXPECT_NE(system_.ktrdr({"resume", id}).exit_code, 0) << "nothing is left to resume from";
}

TEST_F(CommandLine, TheSameSeedGivesTheSameModel) {
  std::vector<std::string> hashes;
  for (int i = 0; i < 2; ++i) {
    const auto started =
        system_.ktrdr({"train", strategy(3), "--data", system_.market(), "--seed", "42", "--json"});
    const OperationId id{api::member_of({started.out}, "operation_id")};
    const auto done = system_.wait_for_status(id, OperationStatus::kCompleted);
    hashes.push_back(api::member_of(*done.result_summary, "model_sha256"));
  }
  EXPECT_EQ(hashes[0], hashes[1]);
}

TEST_F(CommandLine, SaysWhenNoServerIsThere) {
  const auto lost = system_.ktrdr({"ops", "--url", "http://127.0.0.1:1"});
  EXPECT_NE(lost.exit_code, 0);
  EXPECT_THAT(lost.err, HasSubstr("ktrdr serve"));
}

TEST_F(CommandLine, AWrongWordIsAnsweredWithTheNearestRightOne) {
  const auto wrong = system_.ktrdr({"stauts"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("status"));
}

}  // namespace
}  // namespace ktrdr::system_test
