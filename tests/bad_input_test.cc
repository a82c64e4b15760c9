// Bad input gets a clear error with what to do, exit code 2 from the command line and a 4xx from the API, and
// leaves nothing behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include "ktrdr/client/http_client.h"
#include "ktrdr/strategy/testing/market_generator.h"
#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

using ::testing::HasSubstr;

constexpr int kBadInput = 2;

// One server without workers for all tests of this program: every one of them must leave it empty.
class BadInput : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { system_ = std::make_unique<TestSystem>(SystemOptions{.local_workers = 0}); }
  static void TearDownTestSuite() { system_.reset(); }

  void TearDown() override {
    EXPECT_EQ(system_->api().list_operations({})->total_count, 0) << "an operation was left behind";
    EXPECT_TRUE(std::filesystem::is_empty(system_->data_dir() / "checkpoints"));
    EXPECT_TRUE(std::filesystem::is_empty(system_->data_dir() / "models"));
  }

  std::filesystem::path write(const std::string& name, const std::string& text) {
    const auto path = system_->folder() / name;
    std::ofstream(path, std::ios::trunc) << text;
    return path;
  }

  Finished train(const std::filesystem::path& strategy, const std::filesystem::path& data) {
    return system_->ktrdr({"train", strategy, "--data", data});
  }

  // A market folder whose one file has been changed, a line at a time.
  std::filesystem::path damaged_market(const std::function<void(std::vector<std::string>&)>& damage) {
    const auto folder = system_->folder() / "damaged";
    std::filesystem::create_directories(folder);
    strategy::testing::write_market(
        folder, strategy::testing::make_market({.symbol = "TEST", .rows = 1000, .seed = 3}));
    std::vector<std::string> lines;
    std::ifstream in(folder / "TEST_1h.csv");
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    damage(lines);
    std::ofstream out(folder / "TEST_1h.csv", std::ios::trunc);
    for (const std::string& line : lines) out << line << "\n";
    return folder;
  }

  static std::unique_ptr<TestSystem> system_;
};

std::unique_ptr<TestSystem> BadInput::system_;

TEST_F(BadInput, AMissingStrategyFile) {
  const auto refused = train(system_->folder() / "missing.yaml", system_->market());
  EXPECT_EQ(refused.exit_code, kBadInput);
  EXPECT_THAT(refused.err, HasSubstr("missing.yaml"));
}

TEST_F(BadInput, AMalformedStrategyNamesTheLine) {
  const auto refused = train(write("broken.yaml", "name: x\nindicators: [\n"), system_->market());
  EXPECT_EQ(refused.exit_code, kBadInput) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("line"));
}

TEST_F(BadInput, AllProblemsOfAStrategyAtOnce) {
  std::string text = demanding_strategy(10);
  for (const auto& [from, to] : std::map<std::string, std::string>{{"epochs: 10", "epoches: 10"},
                                                                   {"type: rsi", "type: rsj"},
                                                                   {"batch_size: 32", "batch_size: many"},
                                                                   {"trapezoidal", "trapezoid"}}) {
    text.replace(text.find(from), from.size(), to);
  }
  const auto refused = train(write("wrong.yaml", text), system_->market());
  EXPECT_EQ(refused.exit_code, kBadInput);
  for (const char* part : {"epoches", "epochs", "rsj", "rsi", "batch_size", "trapezoidal", "line"}) {
    EXPECT_THAT(refused.err, HasSubstr(part));
  }
}

TEST_F(BadInput, WhatIsValidButNotBuiltYetSaysExactlyThat) {
  std::string text = demanding_strategy(10);
  text.replace(text.find("type: mlp"), 9, "type: lstm");
  const auto refused = train(write("later.yaml", text), system_->market());
  EXPECT_EQ(refused.exit_code, kBadInput);
  EXPECT_THAT(refused.err, HasSubstr("lstm"));
  EXPECT_THAT(refused.err, HasSubstr("valid"));
}

TEST_F(BadInput, AnUnknownSymbolNamesWhatIsThere) {
  std::string text = demanding_strategy(10);
  text.replace(text.find("symbol: TEST"), 12, "symbol: NONE");
  const auto refused = train(write("symbol.yaml", text), system_->market());
  EXPECT_EQ(refused.exit_code, kBadInput);
  EXPECT_THAT(refused.err, HasSubstr("TEST"));
}

TEST_F(BadInput, DamagedMarketDataNamesTheLine) {
  using Lines = std::vector<std::string>;
  const auto strategy = write("good.yaml", demanding_strategy(10));
  const std::map<std::string, std::function<void(Lines&)>> damages = {
      {"unsorted", [](Lines& lines) { std::swap(lines[100], lines[200]); }},
      {"duplicate", [](Lines& lines) { lines[100] = lines[99]; }},
      {"missing column", [](Lines& lines) { lines[0] = "timestamp,open,high,low,volume"; }},
      {"NaN", [](Lines& lines) { lines[50] = lines[50].substr(0, lines[50].find(',')) + ",nan,2,1,1.5,10"; }},
      {"not positive",
       [](Lines& lines) { lines[50] = lines[50].substr(0, lines[50].find(',')) + ",1,1,0,1,10"; }},
      {"empty", [](Lines& lines) { lines.clear(); }},
      {"too few rows", [](Lines& lines) { lines.resize(20); }},
      {"not a table",
       [](Lines& lines) {
         lines = {"<html>", "</html>"};
       }},
  };
  for (const auto& [name, damage] : damages) {
    SCOPED_TRACE(name);
    const auto refused = train(strategy, damaged_market(damage));
    EXPECT_EQ(refused.exit_code, kBadInput) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("TEST")) << "says which data";
    EXPECT_THAT(refused.err, ::testing::AnyOf(HasSubstr("line"), HasSubstr("bars"), HasSubstr("column"),
                                              HasSubstr("empty")));
  }
}

TEST_F(BadInput, AMissingMarketFolder) {
  const auto refused = train(write("good.yaml", demanding_strategy(10)), system_->folder() / "nowhere");
  EXPECT_EQ(refused.exit_code, kBadInput) << refused.err;
}

TEST_F(BadInput, IdsThatAreNoIds) {
  for (const char* command : {"status", "cancel", "resume", "follow"}) {
    for (const char* id : {"../../x", "a/b", "%2e%2e", "OP", "x y"}) {
      EXPECT_EQ(system_->ktrdr({command, id}).exit_code, kBadInput) << command << " " << id;
    }
  }
  EXPECT_EQ(system_->ktrdr({"checkpoints", "show", "../../x"}).exit_code, kBadInput);
  EXPECT_EQ(system_->ktrdr({"checkpoints", "delete", "../../x", "--force"}).exit_code, kBadInput);
}

TEST_F(BadInput, TheApiAnswersBadIdsWithA4xx) {
  client::HttpClient http;
  const std::vector<client::HttpHeader> headers = {{"Authorization", "Bearer " + system_->token()}};
  for (const std::string& id :
       std::vector<std::string>{"..%2f..%2fx", "%2e%2e", "a%00b", "OP", "%252e", std::string(65, 'a'),
                                std::string(7000, 'a'), "%ff"}) {
    for (const char* method : {"GET", "DELETE"}) {
      const auto answer = http.request(
          {.method = method, .url = system_->url() + "/api/v1/operations/" + id, .headers = headers});
      ASSERT_TRUE(answer.ok()) << answer.error().describe();
      EXPECT_GE(answer->status, 400) << method << " " << id;
      EXPECT_LT(answer->status, 500) << method << " " << id;
      EXPECT_THAT(answer->body, HasSubstr("\"detail\""));
    }
  }
}

TEST_F(BadInput, TheApiAnswersBadBodiesWithA4xx) {
  client::HttpClient http;
  const std::vector<client::HttpHeader> headers = {{"Authorization", "Bearer " + system_->token()}};
  const std::string deep(5000, '[');
  for (const std::string& body :
       {std::string(), std::string("{"), std::string("[]"), deep, std::string(R"({"strategy_yaml":1})"),
        std::string(R"({"strategy_yaml":"x","strategy_yaml":"y"})"), std::string(R"({"nonsense":1})"),
        std::string(R"({"strategy_name":"../../etc/passwd"})"),
        std::string(R"({"strategy_yaml":"x","seed":-1})"),
        std::string(R"({"strategy_yaml":"x","seed":1e999})"),
        std::string(R"({"strategy_yaml":"x","task_id":"../x"})"),
        std::string(R"({"strategy_yaml":"x","checkpoint_every_epochs":0})"),
        std::string(R"({"strategy_yaml":"x","checkpoint_budget_percent":0})"),
        std::string(R"({"strategy_yaml":"x","data_dir":"relative"})")}) {
    const auto answer = http.request({.method = "POST",
                                      .url = system_->url() + "/api/v1/trainings/start",
                                      .body = body,
                                      .headers = headers});
    ASSERT_TRUE(answer.ok()) << answer.error().describe();
    EXPECT_EQ(answer->status, 400) << body.substr(0, 80);
    EXPECT_THAT(answer->body, HasSubstr("\"detail\""));
  }
}

TEST_F(BadInput, NoTokenOrAWrongOneIsRefused) {
  client::HttpClient http;
  for (const char* authorization : {"", "Bearer wrong", "Basic eDp5"}) {
    std::vector<client::HttpHeader> headers;
    if (*authorization != '\0') headers.push_back({"Authorization", authorization});
    const auto answer = http.request({.url = system_->url() + "/api/v1/operations", .headers = headers});
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->status, 401);
  }
  const auto evil =
      http.request({.url = system_->url() + "/api/v1/health", .headers = {{"Host", "evil.test"}}});
  ASSERT_TRUE(evil.ok());
  EXPECT_EQ(evil->status, 403);
}

TEST_F(BadInput, UnknownOperationsAreNotFound) {
  EXPECT_NE(system_->ktrdr({"status", "op_unknown"}).exit_code, 0);
  EXPECT_EQ(system_->api().operation({"op_unknown"}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(system_->api().resume({"op_unknown"}, {}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(system_->api().cancel({"op_unknown"}, {}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(system_->api().checkpoint({"op_unknown"}).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ktrdr::system_test
