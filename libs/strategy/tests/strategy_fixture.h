// A strategy to change one line of, and what must be said about it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/strategy/strategy.h"

namespace ktrdr::strategy {

// A whole strategy, one key per line, so that a test can change a line and name its number.
inline const std::string kStrategy =
    "name: demo\n"                                        // 1
    "training_data:\n"                                    // 2
    "  symbols: {mode: single, symbol: EURUSD}\n"         // 3
    "  timeframes: {mode: single, timeframe: 1h}\n"       // 4
    "indicators:\n"                                       // 5
    "  rsi_14: {type: rsi, period: 14}\n"                 // 6
    "  macd_1: {type: macd}\n"                            // 7
    "fuzzy_sets:\n"                                       // 8
    "  rsi_state:\n"                                      // 9
    "    indicator: rsi_14\n"                             // 10
    "    low: [0, 20, 40]\n"                              // 11
    "    high: {type: gaussian, parameters: [80, 10]}\n"  // 12
    "nn_inputs:\n"                                        // 13
    "  - {fuzzy_set: rsi_state, timeframes: all}\n"       // 14
    "model:\n"                                            // 15
    "  architecture: {hidden_layers: [16, 8]}\n"          // 16
    "training:\n"                                         // 17
    "  epochs: 20\n";                                     // 18

inline std::string changed(const std::string& from, const std::string& to) {
  std::string text = kStrategy;
  const std::size_t at = text.find(from);
  CHECK(at != std::string::npos, "the test names a part of the strategy");
  return text.replace(at, from.size(), to);
}
inline std::string with_training(const std::string& lines) { return kStrategy + lines; }

struct Mistake {
  std::string from;
  std::string to;
  std::string says;
};

inline void expect_said(const std::vector<Mistake>& mistakes, ErrorCode code) {
  for (const Mistake& mistake : mistakes) {
    const auto strategy = parse_strategy(changed(mistake.from, mistake.to));
    EXPECT_THAT(strategy, ktrdr::testing::FailsWith(code)) << mistake.to;
    EXPECT_THAT(strategy, ktrdr::testing::SaysError(mistake.says)) << mistake.to;
    if (!strategy.ok()) {  // one mistake, one line
      EXPECT_EQ(strategy.error().message.find('\n'), std::string::npos) << strategy.error().message;
    }
  }
}

}  // namespace ktrdr::strategy
