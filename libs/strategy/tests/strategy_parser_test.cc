#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/strategy/dataset.h"
#include "ktrdr/strategy/strategy.h"
#include "ktrdr/strategy/testing/strategy_text.h"
#include "strategy_fixture.h"

namespace ktrdr::strategy {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;

TEST(StrategyParser, FillsInTheDefaults) {
  const auto strategy = parse_strategy(kStrategy);
  ASSERT_THAT(strategy, IsOk());
  EXPECT_EQ(strategy->name, "demo");
  EXPECT_EQ(strategy->version, "3.0");
  EXPECT_EQ(strategy->symbol, "EURUSD");
  EXPECT_EQ(strategy->timeframe, "1h");
  EXPECT_EQ(strategy->start_ms, std::nullopt);
  EXPECT_EQ(strategy->find_indicator("macd_1")->parameters, (std::vector<std::int64_t>{12, 26, 9}));
  EXPECT_EQ(strategy->model.hidden_layers, (std::vector<std::int64_t>{16, 8}));
  EXPECT_EQ(strategy->model.dropout, 0.2);
  EXPECT_EQ(strategy->model.activation, Activation::kRelu);
  EXPECT_EQ(strategy->labels.zigzag_threshold, 0.02);
  EXPECT_EQ(strategy->split, Split());
  Training expected;
  expected.epochs = 20;
  EXPECT_EQ(strategy->training, expected);
  EXPECT_EQ(expected.optimizer.weight_decay, 1e-4);
  EXPECT_EQ(expected.gradient_clip, 1.0);
}

TEST(StrategyParser, EveryTrainingKeyReachesTheTrainer) {
  const auto strategy = parse_strategy(
      with_training("  batch_size: 128\n  learning_rate: 0.01\n  gradient_clip: 0\n  loss: cross_entropy\n"
                    "  optimizer: {type: Adam, weight_decay: 0.001, betas: [0.8, 0.9], eps: 1e-6}\n"
                    "  lr_scheduler: {type: reduce_on_plateau, factor: 0.2, patience: 3, threshold: 0.01, "
                    "min_lr: 0.00001}\n"
                    "  early_stopping: {enabled: true, patience: 4, min_delta: 0.5, monitor: val_accuracy}\n"
                    "  labels: {source: zigzag, zigzag_threshold: 0.03, label_lookahead: 20}\n"
                    "  data_split: {train: 0.6, validation: 0.3, test: 0.1}\n"));
  ASSERT_THAT(strategy, IsOk());
  const Training& training = strategy->training;
  EXPECT_EQ(training.batch_size, 128);
  EXPECT_EQ(training.learning_rate, 0.01);
  EXPECT_EQ(training.gradient_clip, 0);
  EXPECT_EQ(training.optimizer, (Optimizer{OptimizerType::kAdam, 0.001, 0.8, 0.9, 1e-6}));
  EXPECT_EQ(training.schedule.type, ScheduleType::kReduceOnPlateau);
  EXPECT_EQ(training.schedule.factor, 0.2);
  EXPECT_EQ(training.schedule.patience, 3);
  EXPECT_EQ(training.schedule.threshold, 0.01);
  EXPECT_EQ(training.schedule.minimum_learning_rate, 0.00001);
  EXPECT_EQ(training.early_stopping, (EarlyStopping{4, 0.5, Monitor::kValidationAccuracy}));
  EXPECT_EQ(strategy->labels.zigzag_threshold, 0.03);
  EXPECT_EQ(strategy->split, (Split{0.6, 0.3, 0.1}));
}

TEST(StrategyParser, TakesTheSpellingsOfThePythonSystem) {
  const auto step =
      parse_strategy(with_training("  optimizer: adam\n  weight_decay: 0.5\n  method: supervised\n"
                                   "  lr_scheduler: {type: step, step_size: 50, gamma: 0.5}\n"
                                   "  early_stopping: {patience: 20, min_delta: 0.002}\n"));
  ASSERT_THAT(step, IsOk());
  EXPECT_EQ(step->training.optimizer.weight_decay, 0.5);
  EXPECT_EQ(step->training.schedule.type, ScheduleType::kStep);
  EXPECT_EQ(step->training.schedule.step_size, 50);
  EXPECT_EQ(step->training.schedule.gamma, 0.5);
  EXPECT_EQ(step->training.early_stopping, (EarlyStopping{20, 0.002, Monitor::kValidationLoss}));
  for (const char* off : {"none", "null", "false", "{type: none}"}) {
    const auto strategy = parse_strategy(with_training(std::string("  lr_scheduler: ") + off + "\n"));
    ASSERT_THAT(strategy, IsOk()) << off;
    EXPECT_EQ(strategy->training.schedule.type, ScheduleType::kNone) << off;
  }
  for (const char* off : {"null", "false", "{enabled: false, patience: 3}"}) {
    const auto strategy = parse_strategy(with_training(std::string("  early_stopping: ") + off + "\n"));
    ASSERT_THAT(strategy, IsOk()) << off;
    EXPECT_EQ(strategy->training.early_stopping, std::nullopt) << off;
  }
}

// Many shipped files keep the trainer's keys under model, where the Python system never reads them.
TEST(StrategyParser, TrainerKeysUnderModelReachTheTrainerToo) {
  const std::string older =
      "model:\n  features: {lookback_periods: 2}\n  training:\n    learning_rate: 0.5\n"
      "    optimizer: adam\n    early_stopping: {enabled: true, patience: 15}\n"
      "    analytics: {enabled: true}\n";
  const auto strategy = parse_strategy(changed("model:\n", older));
  ASSERT_THAT(strategy, IsOk());
  EXPECT_EQ(strategy->training.learning_rate, 0.5);
  EXPECT_EQ(strategy->training.epochs, 20);
  EXPECT_EQ(strategy->training.early_stopping->patience, 15);
  EXPECT_THAT(parse_strategy(changed("model:\n", older + "    epochs: 7\n")),
              SaysError("line 22: model.training.epochs: is also written as training.epochs"));
}

TEST(StrategyParser, TakesListsOfOneAndWhatOtherPartsOfTheSystemRead) {
  std::string text = changed("{mode: single, symbol: EURUSD}", "{mode: single, list: [EURUSD]}");
  text.replace(text.find("{mode: single, timeframe: 1h}"), 29,
               "{mode: single, list: [1h], base_timeframe: 1h}\n  history_required: 200");
  text +=
      "description: words\nversion: \"3.1\"\nhypothesis: more words\nscope: universal\n"
      "deployment: {target_symbols: {mode: universal}}\ncontext_data: []\n"
      "decisions: {output_format: classification, confidence_threshold: 0.6, position_awareness: true, "
      "filters: {a: 1}}\n";
  const auto strategy = parse_strategy(text);
  ASSERT_THAT(strategy, IsOk());
  EXPECT_EQ(strategy->symbol, "EURUSD");
  EXPECT_EQ(strategy->version, "3.1");
}

TEST(StrategyParser, DatesAreInclusive) {
  const auto strategy = parse_strategy(
      changed("indicators:", "  start_date: 2020-01-01\n  end_date: \"2020-12-31\"\nindicators:"));
  ASSERT_THAT(strategy, IsOk());
  EXPECT_EQ(strategy->start_ms, *parse_iso8601_ms("2020-01-01"));
  EXPECT_EQ(strategy->end_ms, *parse_iso8601_ms("2020-12-31T23:59:59.999Z"));
  const auto range =
      parse_strategy(with_training("  date_range: {start: '2020-01-01', end: '2020-12-31T00:00:00Z'}\n"));
  ASSERT_THAT(range, IsOk());
  EXPECT_EQ(range->end_ms, *parse_iso8601_ms("2020-12-31"));
  EXPECT_THAT(parse_strategy(
                  changed("indicators:", "  date_range: {start: 2020-01-02, end: 2020-01-01}\nindicators:")),
              SaysError("line 5: training_data.date_range: ends before it starts"));
  EXPECT_THAT(parse_strategy(changed("indicators:", "  start_date: soon\nindicators:")),
              SaysError("line 5: training_data.start_date: \"soon\" is no date"));
}

TEST(StrategyParser, FeaturesFollowTheOrderOfTheInputs) {
  const auto strategy =
      parse_strategy(changed("  - {fuzzy_set: rsi_state, timeframes: all}",
                             "  - {raw_indicator: macd_1.signal, timeframes: [1h], normalization: zscore}\n  "
                             "- {fuzzy_set: rsi_state, timeframes: all}"));
  ASSERT_THAT(strategy, IsOk());
  EXPECT_EQ(feature_names(*strategy),
            (std::vector<std::string>{"1h_macd_1.signal_raw", "1h_rsi_state_low", "1h_rsi_state_high"}));
  EXPECT_EQ(strategy->inputs[0].raw_indicator->output, 1U);
}

TEST(StrategyParser, AllProblemsComeAtOnceInFileOrder) {
  std::string text = changed("epochs: 20", "epochs: x");
  text.replace(text.find("type: rsi,"), 10, "type: atr,");
  const auto strategy = parse_strategy(text + "colour: red\n");
  EXPECT_THAT(strategy, FailsWith(ErrorCode::kInvalidArgument)) << "not everything is merely not built";
  const std::string& message = strategy.error().message;
  EXPECT_LT(message.find("line 6: "), message.find("\nline 18: "));
  EXPECT_LT(message.find("\nline 18: "), message.find("\nline 19: colour: "));
}

TEST(StrategyParser, AKeyWrittenTwiceIsRefusedAtAnyDepth) {
  expect_said(
      {{"epochs: 20", "epochs: 20\n  epochs: 30",
        "line 19: training.epochs: is written twice, first on line 18"},
       {"model:\n", "deployment: {a: {b: 1, b: 2}}\nmodel:\n", "line 15: deployment.a.b: is written twice"},
       {"period: 14", "period: 14, period: 15", "line 6: indicators.rsi_14.period: is written twice"}},
      ErrorCode::kInvalidArgument);
}

TEST(StrategyParser, TextThatIsNoYamlNamesItsLine) {
  EXPECT_THAT(parse_strategy("name: x\nmodel: [1, 2\n"), SaysError("line "));
  EXPECT_THAT(parse_strategy("name: x\n\tmodel: 1\n"), SaysError("line 2: is not YAML that can be read"));
  EXPECT_THAT(parse_strategy("a: *nothing\n"), SaysError("line 1: is not YAML"));
  EXPECT_THAT(parse_strategy(kStrategy + "---\nname: y\n"), SaysError("a second document"));
  EXPECT_THAT(parse_strategy("name: x\nmodel: \xff\n"), SaysError("line 2: is not UTF-8"));
  EXPECT_THAT(parse_strategy("name: x\nmodel: \xed\xa0\x80\n"), SaysError("line 2: is not UTF-8"));
  EXPECT_THAT(parse_strategy(std::string("name: x\nmodel: \0", 16)),
              SaysError("line 2: contains a NUL byte"));
  for (const char* text : {"", "# only words\n", "[1, 2]", "words", "null", "? [a]\n: b\n"}) {
    EXPECT_THAT(parse_strategy(text), FailsWith(ErrorCode::kInvalidArgument)) << text;
  }
  EXPECT_THAT(parse_strategy("indicators:\n- name: rsi\n"), SaysError("as in strategy format v1 and v2"));
  EXPECT_THAT(parse_strategy("indicators: &a {x: *a}\n"), FailsWith(ErrorCode::kInvalidArgument));
}

TEST(StrategyParser, HugeDeepAndExplodingFilesAreHarmless) {
  EXPECT_THAT(parse_strategy(std::string((1U << 20U) + 1, '#')), FailsWith(ErrorCode::kTooLarge));
  for (const char* opening : {"[", "{a: ", "- ", "? "}) {
    std::string deep;
    while (deep.size() < 200'000) deep += opening;
    EXPECT_THAT(parse_strategy(deep), SaysError("nested too deeply")) << opening;
  }
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int level = 1; level < 12; ++level) {
    const std::string before = "*a" + std::to_string(level - 1);
    bomb += "a" + std::to_string(level) + ": &a" + std::to_string(level) + " [" + before;
    for (int i = 1; i < 10; ++i) bomb += ", " + before;
    bomb += "]\n";
  }
  EXPECT_THAT(parse_strategy(bomb), SaysError("too many entries"));
  std::string wide;
  for (int i = 0; i < 60'000; ++i) wide += "k" + std::to_string(i) + ": 1\n";
  EXPECT_THAT(parse_strategy(wide), FailsWith(ErrorCode::kInvalidArgument));
}

TEST(StrategyParser, AliasesOfOrdinarySizeWork) {
  const auto strategy =
      parse_strategy(changed("low: [0, 20, 40]", "low: &shape [0, 20, 40]\n    lower: *shape"));
  ASSERT_THAT(strategy, IsOk());
  EXPECT_EQ(strategy->fuzzy_sets[0].members[1].parameters, (std::vector<double>{0, 20, 40}));
}

// Cutting and garbling a good file anywhere must end in a value or an error, never in a crash.
TEST(StrategyParser, DamagedFilesNeverCrash) {
  for (std::size_t at = 0; at < kStrategy.size(); at += 3) {
    (void)parse_strategy(kStrategy.substr(0, at));
    for (const char garbage :
         {'{', '}', '[', ':', '\n', '&', '*', '!', '"', '-', '?', '|', '%', '@', '\t', '\r'}) {
      std::string text = kStrategy;
      text[at] = garbage;
      (void)parse_strategy(text);
    }
  }
}

TEST(StrategyText, IsAValidStrategy) {
  const auto strategy = parse_strategy(testing::strategy_text(
      {.name = "a", .symbol = "GBPUSD", .epochs = 9, .more_training = "  lr_scheduler: {type: step}\n"}));
  ASSERT_THAT(strategy, IsOk());
  EXPECT_EQ(strategy->symbol, "GBPUSD");
  EXPECT_EQ(strategy->training.epochs, 9);
  EXPECT_EQ(strategy->training.schedule.type, ScheduleType::kStep);
}

TEST(Examples, AllStrategiesParseAndFitTheSampleData) {
  const std::filesystem::path examples = std::filesystem::path(KTRDR_SOURCE_DIR) / "examples";
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(examples / "strategies")) {
    const auto strategy = parse_strategy(*read_file(entry.path(), 1 << 20));
    ASSERT_THAT(strategy, IsOk()) << entry.path();
    EXPECT_EQ(entry.path().stem(), strategy->name);
    const DataSelection selection{.folder = examples / "data", .start_ms = {}, .end_ms = {}};
    const auto data = prepare_dataset(*strategy, selection);
    ASSERT_THAT(data, IsOk()) << entry.path();
    for (const float weight : data->class_weights) {
      EXPECT_GT(weight, 0) << entry.path() << " has examples of every class";
    }
    ++count;
  }
  EXPECT_EQ(count, 3);
}

}  // namespace
}  // namespace ktrdr::strategy
