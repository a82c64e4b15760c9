#include "ktrdr/worker/run_report.h"

#include <gtest/gtest.h>

namespace ktrdr::worker {
namespace {

std::vector<std::int64_t> epochs(RunReport& report) {
  std::vector<std::int64_t> numbers;
  for (const auto& epoch : report.unsent().epochs) numbers.push_back(epoch.epoch);
  return numbers;
}

TEST(RunReport, KeepsEverythingUntilItIsAcknowledged) {
  RunReport report;
  report.on_epoch({.epoch = 0});
  const auto sent = report.unsent();
  report.on_epoch({.epoch = 1});
  EXPECT_EQ(epochs(report), (std::vector<std::int64_t>{0, 1}));
  report.acknowledge(sent);
  EXPECT_EQ(epochs(report), (std::vector<std::int64_t>{1}));
}

// Two heartbeats are under way at once when the last word is said while the periodic one waits for its
// answer.
TEST(RunReport, AcknowledgingTheSameTwiceDropsNothingMore) {
  RunReport report;
  report.on_epoch({.epoch = 0});
  const auto one = report.unsent();
  report.on_epoch({.epoch = 1});
  const auto other = report.unsent();
  report.on_epoch({.epoch = 2});
  report.acknowledge(other);
  report.acknowledge(one);
  EXPECT_EQ(epochs(report), (std::vector<std::int64_t>{2}));
  EXPECT_FALSE(report.is_all_sent());
}

}  // namespace
}  // namespace ktrdr::worker
