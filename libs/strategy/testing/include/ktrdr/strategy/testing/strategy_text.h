// A small strategy that fits make_market(): two indicators, five features, a net that trains in milliseconds.
#pragma once

#include <cstdint>
#include <string>

namespace ktrdr::strategy::testing {

struct StrategyRecipe {
  std::string name = "quick";
  std::string symbol = "EURUSD";
  std::string timeframe = "1h";
  std::int64_t epochs = 3;
  std::int64_t batch_size = 32;
  std::string hidden_layers = "[16, 8]";
  std::string dropout = "0.2";
  // More lines of the training section, each indented by two spaces and ended by \n: "  lr_scheduler: {type:
  // step}\n".
  std::string more_training;
};

inline std::string strategy_text(const StrategyRecipe& recipe = {}) {
  return "name: " + recipe.name +
         "\n"
         "version: \"3.0\"\n"
         "training_data:\n"
         "  symbols: {mode: single, symbol: " +
         recipe.symbol +
         "}\n"
         "  timeframes: {mode: single, timeframe: " +
         recipe.timeframe +
         "}\n"
         "indicators:\n"
         "  rsi_7: {type: rsi, period: 7}\n"
         "  roc_5: {type: roc, period: 5}\n"
         "fuzzy_sets:\n"
         "  rsi_state:\n"
         "    indicator: rsi_7\n"
         "    oversold: [0, 20, 45]\n"
         "    overbought: [55, 80, 100]\n"
         "  momentum:\n"
         "    indicator: roc_5\n"
         "    falling: {type: gaussian, parameters: [-0.3, 0.2]}\n"
         "    rising: {type: gaussian, parameters: [0.3, 0.2]}\n"
         "nn_inputs:\n"
         "  - {fuzzy_set: rsi_state, timeframes: all}\n"
         "  - {fuzzy_set: momentum, timeframes: all}\n"
         "  - {raw_indicator: roc_5, timeframes: all, normalization: zscore}\n"
         "model:\n"
         "  type: mlp\n"
         "  architecture: {hidden_layers: " +
         recipe.hidden_layers + ", dropout: " + recipe.dropout +
         "}\n"
         "decisions: {output_format: classification}\n"
         "training:\n"
         "  labels: {source: zigzag, zigzag_threshold: 0.005}\n"
         "  epochs: " +
         std::to_string(recipe.epochs) +
         "\n"
         "  batch_size: " +
         std::to_string(recipe.batch_size) + "\n" + recipe.more_training;
}

}  // namespace ktrdr::strategy::testing
