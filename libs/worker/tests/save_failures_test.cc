#include "ktrdr/worker/save_failures.h"

#include <gtest/gtest.h>

namespace ktrdr::worker {
namespace {

TEST(SaveFailures, SaysNothingOfASuccessAfterASuccess) {
  SaveFailures failures;
  EXPECT_FALSE(failures.saved({1, 0}));
  EXPECT_FALSE(failures.saved({1, 1}));
}

TEST(SaveFailures, ARowOfAThousandIsFourLinesWithTheirCount) {
  SaveFailures failures;
  std::vector<std::string> lines;
  for (std::int64_t i = 0; i < 1000; ++i) {
    if (auto line = failures.failed({1, i}, "The disk is full.")) lines.push_back(*line);
  }
  EXPECT_EQ(lines, (std::vector<std::string>{
                       "Checkpoint 1-0 was not saved: The disk is full.",
                       "10 checkpoints in a row were not saved, the last one 1-9: The disk is full.",
                       "100 checkpoints in a row were not saved, the last one 1-99: The disk is full.",
                       "1000 checkpoints in a row were not saved, the last one 1-999: The disk is full."}));
  EXPECT_EQ(failures.saved({1, 1000}), "Checkpoint 1-1000 was saved again, after 1000 failures in a row.");
}

TEST(SaveFailures, AStorageThatComesAndGoesFillsNoPage) {
  SaveFailures failures;
  int lines = 0;
  for (std::int64_t i = 0; i < 10'000; i += 2) {
    if (failures.failed({1, i}, "The disk is full.")) ++lines;
    if (failures.saved({1, i + 1})) ++lines;
  }
  EXPECT_EQ(lines, 2 * (10 + 2)) << "ten in full, then the 100th and the 1000th";
}

}  // namespace
}  // namespace ktrdr::worker
