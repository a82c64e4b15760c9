// Every way to write a strategy wrongly, with the line and the words of the answer.
#include "strategy_fixture.h"

namespace ktrdr::strategy {
namespace {

using ktrdr::testing::SaysError;

TEST(StrategyParser, UnknownKeysAreNamedAtEveryLevel) {
  expect_said(
      {
          {"training:\n", "trainning: {}\ntraining:\n",
           "line 17: trainning: is not a key here; did you mean \"training\"?"},
          {"indicators:", "  symbol: x\nindicators:",
           "line 5: training_data.symbol: is not a key here; did you mean \"symbols\"?"},
          {"symbol: EURUSD", "symbol: EURUSD, from: x",
           "line 3: training_data.symbols.from: is not a key here"},
          {"timeframe: 1h", "timeframe: 1h, base: 1h",
           "line 4: training_data.timeframes.base: is not a key here; did you mean \"base_timeframe\"?"},
          {"period: 14", "period: 14, perod: 3",
           "line 6: indicators.rsi_14.perod: is not a key here; did you mean \"period\"?"},
          {"{type: macd}", "{type: macd, fast: 5}",
           "line 7: indicators.macd_1.fast: is not a key here; did you mean \"fast_period\"?"},
          {"parameters: [80, 10]", "parameters: [80, 10], mu: 3",
           "line 12: fuzzy_sets.rsi_state.high.mu: is not a key"},
          {"timeframes: all", "timeframes: all, weight: 2",
           "line 14: nn_inputs[0].weight: is not a key here"},
          {"hidden_layers: [16, 8]", "hidden_layers: [16, 8], layers: 2",
           "line 16: model.architecture.layers: is not a key here"},
          {"  epochs", "  epoch: 3\n  epochs",
           "line 18: training.epoch: is not a key here; did you mean \"epochs\"? known here: "},
          {"  epochs", "  labels: {treshold: 1}\n  epochs",
           "line 18: training.labels.treshold: is not a key here"},
          {"  epochs", "  data_split: {training: 1}\n  epochs",
           "line 18: training.data_split.training: is not a key here; did you mean \"train\"?"},
          {"  epochs", "  optimizer: {type: adam, lr: 1}\n  epochs",
           "line 18: training.optimizer.lr: is not a key here"},
          {"  epochs", "  lr_scheduler: {type: step, patience: 1}\n  epochs",
           "line 18: training.lr_scheduler.patience: is not a key here"},
          {"  epochs", "  early_stopping: {patients: 1}\n  epochs",
           "line 18: training.early_stopping.patients: is not a key here; did you mean \"patience\"?"},
          {"model:\n", "decisions: {format: x}\nmodel:\n",
           "line 15: decisions.format: is not a key here; did you mean \"output_format\"?"},
          {"model:\n", "model:\n  training: {epoch: 3}\n",
           "line 16: model.training.epoch: is not a key here"},
          {"model:\n", "model:\n  dropout: 0.1\n",
           "line 16: model.dropout: belongs one level deeper, in model.architecture"},
      },
      ErrorCode::kInvalidArgument);
}

TEST(StrategyParser, WrongTypesAndRangesSayWhatWouldBeRight) {
  expect_said(
      {
          {"epochs: 20", "epochs: ten",
           "line 18: training.epochs: must be a whole number from 1 to 100000, not \"ten\""},
          {"epochs: 20", "epochs: 20.0", "training.epochs: must be a whole number"},
          {"epochs: 20", "epochs: \"20\"", "not the text \"20\""},
          {"epochs: 20", "epochs: 0", "training.epochs: must be a whole number from 1"},
          {"epochs: 20", "epochs: 020", "training.epochs: must be a whole number"},
          {"epochs: 20", "epochs: 99999999999999999999", "training.epochs: must be a whole number"},
          {"epochs: 20", "epochs: [20]", "not a list"},
          {"epochs: 20", "epochs: {a: 20}", "not a mapping"},
          {"epochs: 20", "epochs:", "not nothing"},
          {"epochs: 20", "learning_rate: .nan",
           "training.learning_rate: must be a number above 0 and at most 10, not \".nan\""},
          {"epochs: 20", "learning_rate: nan", "training.learning_rate: must be a number"},
          {"epochs: 20", "learning_rate: .inf", "training.learning_rate: must be a number"},
          {"epochs: 20", "learning_rate: 1e999", "training.learning_rate: must be a number"},
          {"epochs: 20", "learning_rate: 0", "training.learning_rate: must be a number above 0"},
          {"epochs: 20", "learning_rate: fast", "training.learning_rate: must be a number"},
          {"epochs: 20", "gradient_clip: true", "training.gradient_clip: must be a number, not \"true\""},
          {"epochs: 20", "batch_size: -1", "training.batch_size: must be a whole number"},
          {"period: 14", "period: 14.0",
           "line 6: indicators.rsi_14.period: must be a whole number from 2 to 100"},
          {"period: 14", "period: 101",
           "indicators.rsi_14.period: must be a whole number from 2 to 100, not \"101\""},
          {"{type: macd}", "{type: macd, fast_period: 30}",
           "line 7: indicators.macd_1.fast_period: must be smaller than slow_period"},
          {"{type: macd}", "macd", "line 7: indicators.macd_1: must be a mapping (key: value), not \"macd\""},
          {"hidden_layers: [16, 8]", "hidden_layers: 16",
           "line 16: model.architecture.hidden_layers: must be a list of whole numbers"},
          {"hidden_layers: [16, 8]", "hidden_layers: []", "must have 1 to 16 layers"},
          {"hidden_layers: [16, 8]", "hidden_layers: [16, 0]",
           "line 16: model.architecture.hidden_layers[1]: must be a whole number"},
          {"hidden_layers: [16, 8]", "hidden_layers: [16], dropout: 1",
           "model.architecture.dropout: must be a number of at least 0 and below 1"},
          {"hidden_layers: [16, 8]", "hidden_layers: [16], activation: rely",
           "\"rely\" is not known; did you mean \"relu\"? allowed: relu, tanh, sigmoid, leaky_relu"},
          {"name: demo", "name: ../x", "line 1: name: becomes a file name"},
          {"name: demo", "name: 3.5", "line 1: name: must be a text; put it in quotes: \"3.5\""},
          {"name: demo", "name: demo\nversion: 3.0",
           "line 2: version: must be a text; put it in quotes: \"3.0\""},
          {"symbol: EURUSD", "symbol: a/b", "line 3: training_data.symbols.symbol: \"a/b\" is no symbol"},
          {"timeframe: 1h", "timeframe: 2h",
           "line 4: training_data.timeframes.timeframe: \"2h\" is no timeframe; allowed: 1m, 5m"},
          {"timeframe: 1h", "timeframe: 1h, base_timeframe: 4h",
           "training_data.timeframes.base_timeframe: \"4h\" is not the timeframe"},
          {"symbol: EURUSD", "list: [A, B]", "must have exactly one entry"},
          {"indicators:", "  history_required: 49\nindicators:",
           "training_data.history_required: must be a whole number from 50"},
          {"epochs: 20", "lr_scheduler: true",
           "line 18: training.lr_scheduler: true does not say which; write {type: step, step_size: 30, "
           "gamma: 0.1}"},
          {"epochs: 20", "early_stopping: true",
           "line 18: training.early_stopping: true does not say when; write {patience: 10"},
          {"epochs: 20", "early_stopping: {monitor: loss}",
           "training.early_stopping.monitor: \"loss\" is not known"},
          {"epochs: 20", "early_stopping: {patience: 0}", "training.early_stopping.patience: must be"},
          {"epochs: 20", "early_stopping: {enabled: maybe}",
           "training.early_stopping.enabled: must be true or false"},
          {"epochs: 20", "optimizer: {type: adam, betas: [0.9]}",
           "training.optimizer.betas: must be two numbers"},
          {"epochs: 20", "weight_decay: 1\n  optimizer: {type: adam, weight_decay: 1}",
           "line 18: training.weight_decay: is also written in training.optimizer"},
          {"epochs: 20", "momentum: 0.9", "training.momentum: has an effect only with optimizer: sgd"},
          {"epochs: 20", "focal_gamma: 2", "training.focal_gamma: has an effect only with loss: focal"},
          {"epochs: 20", "data_split: {train: 0.7, validation: 0.2, test: 0.2}",
           "line 18: training.data_split: train, validation and test must sum to 1"},
          {"epochs: 20", "data_split: {train: 1, validation: 0.5, test: 0.5}\n",
           "training.data_split.train: must be a number above 0"},
          {"epochs: 20", "labels: {zigzag_threshold: 1.5}",
           "training.labels.zigzag_threshold: must be a number above 0 and below 1"},
          {"epochs: 20", "method: unsupervised",
           "training.method: \"unsupervised\" is not known; did you mean \"supervised\"?"},
      },
      ErrorCode::kInvalidArgument);
}

TEST(StrategyParser, ReferencesMustLeadSomewhere) {
  expect_said(
      {
          {"indicator: rsi_14", "indicator: rsi_15",
           "line 10: fuzzy_sets.rsi_state.indicator: there is no indicator \"rsi_15\"; did you mean "
           "\"rsi_14\"? this file has: macd_1, rsi_14"},
          {"indicator: rsi_14", "indicator: rsi_14.rsi",
           "names an output, but rsi has only one; write \"rsi_14\""},
          {"indicator: rsi_14", "indicator: macd_1.signl",
           "line 10: fuzzy_sets.rsi_state.indicator: \"signl\" is no output of macd; did you mean "
           "\"signal\"? allowed: line, signal, histogram"},
          {"    indicator: rsi_14\n", "", "line 9: fuzzy_sets.rsi_state.indicator: is missing"},
          {"fuzzy_set: rsi_state", "fuzzy_set: rsi_stat",
           "line 14: nn_inputs[0].fuzzy_set: there is no fuzzy set \"rsi_stat\"; did you mean "
           "\"rsi_state\"?"},
          {"fuzzy_set: rsi_state", "raw_indicator: nothing",
           "line 14: nn_inputs[0].raw_indicator: there is no indicator \"nothing\""},
          {"fuzzy_set: rsi_state", "fuzzy_set: rsi_state, raw_indicator: rsi_14",
           "line 14: nn_inputs[0]: must have exactly one of"},
          {"fuzzy_set: rsi_state, ", "", "line 14: nn_inputs[0]: must have exactly one of"},
          {"fuzzy_set: rsi_state", "fuzzy_set: rsi_state, normalization: zscore",
           "line 14: nn_inputs[0].normalization: is only for raw_indicator"},
          {"timeframes: all", "timeframes: 1h",
           "line 14: nn_inputs[0].timeframes: must be all or a list; write [\"1h\"]"},
          {"timeframes: all", "timeframes: every",
           "nn_inputs[0].timeframes: \"every\" is not allowed; write all"},
          {"timeframes: all", "timeframes: [4h]",
           "line 14: nn_inputs[0].timeframes[0]: \"4h\" is not a timeframe of training_data; it has: 1h"},
          {"timeframes: all", "timeframes: []", "nn_inputs[0].timeframes: is empty"},
          {"timeframes: all", "timeframes: [1h, 1h]",
           "nn_inputs[0].timeframes[1]: names \"1h\" a second time"},
          {", timeframes: all", "", "line 14: nn_inputs[0].timeframes: is missing"},
          {"timeframes: all}", "timeframes: all}\n  - {fuzzy_set: rsi_state, timeframes: all}",
           "line 15: nn_inputs[1]: makes the feature \"1h_rsi_state_low\" a second time"},
          {"nn_inputs:\n  - {fuzzy_set: rsi_state, timeframes: all}", "nn_inputs: []",
           "line 13: nn_inputs: must have 1 to 1024 entries"},
          {"low: [0, 20, 40]", "low: [0, 50, 40]",
           "line 11: fuzzy_sets.rsi_state.low: a triangular set needs three numbers a <= b <= c"},
          {"low: [0, 20, 40]", "low: [0, 20]",
           "line 11: fuzzy_sets.rsi_state.low: a triangular set needs three"},
          {"low: [0, 20, 40]", "low: [0, x, 40]", "line 11: fuzzy_sets.rsi_state.low[1]: must be a number"},
          {"low: [0, 20, 40]", "low: {type: trapezoidal, parameters: [1, 2, 3]}",
           "low.parameters: a trapezoidal set needs four"},
          {"parameters: [80, 10]", "parameters: [80, 0]",
           "line 12: fuzzy_sets.rsi_state.high.parameters: a gaussian set needs"},
          {"type: gaussian", "type: triangle",
           "line 12: fuzzy_sets.rsi_state.high.type: \"triangle\" is not known; did you mean \"triangular\"? "
           "allowed: triangular, trapezoidal, gaussian"},
          {"low: [0, 20, 40]", "'l o w': [0, 20, 40]", "fuzzy_sets.rsi_state.l o w: is no id"},
          {"type: rsi,", "type: rsy,",
           "line 6: indicators.rsi_14.type: \"rsy\" is not known; did you mean \"rsi\"? allowed: adx, macd, "
           "roc, rsi"},
          {"{type: rsi, period: 14}", "{period: 14}",
           "line 6: indicators.rsi_14.type: is missing; write type: rsi"},
      },
      ErrorCode::kInvalidArgument);
}

TEST(StrategyParser, MissingSectionsSayWhatToWrite) {
  const auto nothing = parse_strategy("description: x\n");
  for (const char* key : {"name", "training_data", "indicators", "nn_inputs", "model"}) {
    EXPECT_THAT(nothing, SaysError("line 1: " + std::string(key) + ": is missing; write "));
  }
}

TEST(StrategyParser, WhatIsNotBuiltYetIsSaidExactly) {
  expect_said(
      {
          {"type: rsi,", "type: atr,",
           "line 6: indicators.rsi_14.type: \"atr\" is valid in a v3 strategy but this version cannot do it "
           "yet; it can do: adx, macd, roc, rsi"},
          {"type: rsi,", "type: BollingerBands,", "\"BollingerBands\" is valid in a v3 strategy"},
          {"period: 14", "period: 14, data_source: fred",
           "line 6: indicators.rsi_14.data_source: an external series is valid"},
          {"{mode: single, symbol: EURUSD}", "{mode: multi_symbol, list: [A, B]}",
           "line 3: training_data.symbols.mode: \"multi_symbol\" is valid in a v3 strategy but this version "
           "cannot do it yet; it can do: single"},
          {"{mode: single, timeframe: 1h}", "{mode: multi_timeframe, list: [1h, 4h]}",
           "line 4: training_data.timeframes.mode: \"multi_timeframe\" is valid"},
          {"architecture: {hidden_layers: [16, 8]}", "type: lstm\n  architecture: {sequence_length: 20}",
           "line 16: model.type: \"lstm\" is valid"},
          {"architecture: {hidden_layers: [16, 8]}", "type: gru", "line 16: model.type: \"gru\" is valid"},
          {"model:\n", "decisions: {output_format: regression, cost_model: {a: 1}}\nmodel:\n",
           "line 15: decisions.output_format: \"regression\" is valid"},
          {"epochs: 20", "loss: focal\n  focal_gamma: 2",
           "line 18: training.loss: \"focal\" is valid in a v3 strategy but this version cannot do it yet; "
           "it can do: cross_entropy"},
          {"epochs: 20", "loss: huber\n  huber_delta: 0.1", "\"huber\" is valid"},
          {"epochs: 20", "loss: mse", "\"mse\" is valid"},
          {"epochs: 20", "optimizer: sgd\n  momentum: 0.9", "line 18: training.optimizer: \"sgd\" is valid"},
          {"epochs: 20", "optimizer: {type: rmsprop, alpha: 1}",
           "training.optimizer.type: \"rmsprop\" is valid"},
          {"epochs: 20", "lr_scheduler: {type: exponential, gamma: 0.9}",
           "training.lr_scheduler.type: \"exponential\" is valid"},
          {"epochs: 20", "labels: {source: forward_return, horizon: 20}",
           "training.labels.source: \"forward_return\" is valid"},
          {"epochs: 20", "labels: {source: triple_barrier, pt_multiplier: 2}", "\"triple_barrier\" is valid"},
          {"epochs: 20", "labels: {source: context}", "\"context\" is valid"},
          {"epochs: 20", "labels: {source: regime}", "\"regime\" is valid"},
          {"model:\n", "context_data: [{provider: fred}]\nmodel:\n",
           "line 15: context_data: an external series is valid"},
      },
      ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace ktrdr::strategy
