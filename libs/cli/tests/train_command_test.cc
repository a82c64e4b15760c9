// `ktrdr train`: what is sent, what is printed, what is refused before anything is sent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "ktrdr/api/training.h"
#include "test_bench.h"

namespace ktrdr::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kStart = "POST /api/v1/trainings/start";
constexpr const char* kStarted =
    R"({"success":true,"task_id":"op_1","strategy_name":"momentum","seed":7,"workers_connected":1})";

class Train : public ::testing::Test {
 protected:
  std::string write_strategy(const std::string& text) {
    const auto file = bench_.folder / "s.yaml";
    std::ofstream(file) << text;
    return file.string();
  }
  api::StartTrainingRequest sent_start() {
    return api::from_json<api::StartTrainingRequest>(bench_.server.requests(kStart).at(0).body).value();
  }
  TestBench bench_;
};

TEST_F(Train, SendsTheFilesTextAndPrintsTheId) {
  bench_.server.answer(kStart, {200, kStarted});
  EXPECT_EQ(bench_.run({"train", write_strategy("name: momentum\n")}), 0);
  EXPECT_EQ(sent_start().strategy_yaml, "name: momentum\n");
  EXPECT_EQ(sent_start().strategy_name, std::nullopt);
  EXPECT_EQ(bench_.out.str(), "op_1\n");
  EXPECT_EQ(bench_.err.str(),
            "Started op_1 (strategy momentum, seed 7).\nWatch it with: ktrdr follow op_1\n");
}

TEST_F(Train, SendsEveryOption) {
  bench_.server.answer(kStart, {200, kStarted});
  EXPECT_EQ(bench_.run({"train",
                        write_strategy("name: m"),
                        "--data",
                        "market/../d",
                        "--start",
                        "2024-01-01",
                        "--end",
                        "2024-12-31",
                        "--symbols",
                        "EURUSD,GBPUSD",
                        "--timeframes",
                        "1h",
                        "--seed",
                        "42",
                        "--checkpoint-every-epochs",
                        "3",
                        "--checkpoint-every-seconds",
                        "1.5",
                        "--checkpoint-budget-percent",
                        "0.5",
                        "--name",
                        "mine"}),
            0);
  const api::StartTrainingRequest sent = sent_start();
  EXPECT_EQ(sent.data_dir, (std::filesystem::current_path() / "d").string());
  EXPECT_EQ(sent.start_date, "2024-01-01");
  EXPECT_EQ(sent.end_date, "2024-12-31");
  EXPECT_EQ(sent.symbols, (std::vector<std::string>{"EURUSD", "GBPUSD"}));
  EXPECT_EQ(sent.timeframes, std::vector<std::string>{"1h"});
  EXPECT_EQ(sent.seed, 42);
  EXPECT_EQ(sent.checkpoint_every_epochs, 3);
  EXPECT_EQ(sent.checkpoint_every_seconds, 1.5);
  EXPECT_EQ(sent.checkpoint_budget_percent, 0.5);
  EXPECT_EQ(sent.task_id, "mine");
}

TEST_F(Train, AListDoesNotSwallowTheStrategyBehindIt) {
  bench_.server.answer(kStart, {200, kStarted});
  EXPECT_EQ(bench_.run({"train", "--symbols", "EURUSD,GBPUSD", "--timeframes", "1h", "momentum"}), 0);
  EXPECT_EQ(sent_start().strategy_name, "momentum");
  EXPECT_EQ(sent_start().symbols, (std::vector<std::string>{"EURUSD", "GBPUSD"}));
}

TEST_F(Train, RefusesAPolicyThatMakesNoSenseBeforeItAsks) {
  for (const auto& [option, value] :
       std::vector<std::pair<std::string, std::string>>{{"--checkpoint-every-epochs", "0"},
                                                        {"--checkpoint-every-seconds", "0"},
                                                        {"--checkpoint-every-seconds", "nan"},
                                                        {"--checkpoint-budget-percent", "0"},
                                                        {"--checkpoint-budget-percent", "101"},
                                                        {"--checkpoint-budget-percent", "nan"},
                                                        {"--checkpoint-budget-percent", "much"}}) {
    EXPECT_EQ(bench_.run({"train", "momentum", option, value}), 2) << option << " " << value;
    EXPECT_THAT(bench_.err.str(), HasSubstr(option));
  }
  EXPECT_TRUE(bench_.server.requests(kStart).empty());
}

TEST_F(Train, LeavesOutWhatWasNotGiven) {
  bench_.server.answer(kStart, {200, kStarted});
  EXPECT_EQ(bench_.run({"train", "momentum"}), 0);
  const api::StartTrainingRequest sent = sent_start();
  EXPECT_EQ(sent.strategy_name, "momentum") << "a bare name is looked up by the server";
  EXPECT_EQ(sent.strategy_yaml, std::nullopt);
  EXPECT_FALSE(sent.data_dir || sent.symbols || sent.timeframes || sent.seed || sent.task_id ||
               sent.start_date);
}

TEST_F(Train, AsJsonIsOneDocument) {
  bench_.server.answer(kStart, {200, kStarted});
  EXPECT_EQ(bench_.run({"train", "momentum", "--json"}), 0);
  EXPECT_EQ(
      bench_.out.str(),
      R"({"operation_id":"op_1","status":"started","type":"training","strategy_name":"momentum","seed":7,)"
      R"("workers_connected":1})"
      "\n");
}

TEST_F(Train, SaysWhenNoWorkerIsConnected) {
  bench_.server.answer(kStart, {200, R"({"success":true,"task_id":"op_1","workers_connected":0})"});
  EXPECT_EQ(bench_.run({"train", "momentum"}), 0);
  EXPECT_THAT(bench_.err.str(), HasSubstr("No worker is connected: it waits in the queue until one is."));
}

TEST_F(Train, RefusesBadInputBeforeAnyRequest) {
  const std::string good = write_strategy("name: m");
  const std::string empty = (bench_.folder / "empty.yaml").string();
  std::ofstream(empty) << " \n";
  const std::string latin1 = (bench_.folder / "latin1.yaml").string();
  std::ofstream(latin1) << "name: caf\xe9";
  const std::vector<std::vector<std::string>> bad = {{"train", "missing.yaml"},
                                                     {"train", "no/such/file"},
                                                     {"train", bench_.folder.path().string()},
                                                     {"train", empty},
                                                     {"train", latin1},
                                                     {"train", good, "--start", "tomorrow"},
                                                     {"train", good, "--end", "2023-02-30"},
                                                     {"train", good, "--name", "../x"},
                                                     {"train", good, "--seed", "-1"},
                                                     {"train", good, "--seed", "x"},
                                                     {"train", good, "--checkpoint-every-epochs", "0"},
                                                     {"train", good, "--checkpoint-every-seconds", "0"},
                                                     {"train"}};
  for (const auto& words : bad) {
    EXPECT_EQ(bench_.run(words), 2) << words.back();
    EXPECT_THAT(bench_.err.str(), HasSubstr("Error: ")) << words.back();
  }
  EXPECT_THAT(bench_.server.requests(), IsEmpty());
}

TEST_F(Train, AStrategyThatTheServerRefusesIsExitCode2) {
  bench_.refuse(kStart, 400, "INVALID_ARGUMENT");
  EXPECT_EQ(bench_.run({"train", write_strategy("- not a strategy")}), 2);
}

}  // namespace
}  // namespace ktrdr::cli
