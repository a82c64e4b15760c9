#include "ktrdr/training/test_report.h"

#include <gtest/gtest.h>

namespace ktrdr::training {
namespace {

// Worked by hand: truth 0 0 0 1 1 2, said 0 0 1 1 2 2.
TEST(TestReport, CountsAndAveragesAsScikitLearnDoes) {
  const std::vector<std::int64_t> labels = {0, 0, 0, 1, 1, 2}, predictions = {0, 0, 1, 1, 2, 2};
  const LossSums sums{.weighted_loss = 99, .weight = 9, .plain_loss = 3, .correct = 4, .count = 6};
  const api::TestReport report = make_test_report(sums, labels, predictions);
  EXPECT_EQ(report.samples, 6);
  EXPECT_DOUBLE_EQ(report.test_loss, 0.5);  // without class weights
  EXPECT_DOUBLE_EQ(report.test_accuracy, 4.0 / 6);
  EXPECT_EQ(report.confusion, (std::vector<std::vector<std::int64_t>>{{2, 1, 0}, {0, 1, 1}, {0, 0, 1}}));
  ASSERT_EQ(report.classes.size(), 3U);
  EXPECT_EQ(report.classes[0].name, "BUY");
  EXPECT_EQ(report.classes[0].support, 3);
  EXPECT_DOUBLE_EQ(report.classes[0].precision, 1);
  EXPECT_DOUBLE_EQ(report.classes[0].recall, 2.0 / 3);
  EXPECT_DOUBLE_EQ(report.classes[0].f1, 0.8);
  EXPECT_DOUBLE_EQ(report.precision, (3 * 1 + 2 * 0.5 + 1 * 0.5) / 6);
  EXPECT_DOUBLE_EQ(report.recall, 4.0 / 6);
  EXPECT_DOUBLE_EQ(report.f1_score, (3 * 0.8 + 2 * 0.5 + 1 * 2.0 / 3) / 6);
}

TEST(TestReport, SaysZeroForAClassThatIsNeitherThereNorPredicted) {
  const std::vector<std::int64_t> labels = {1, 1}, predictions = {1, 1};
  const api::TestReport report = make_test_report({.correct = 2, .count = 2}, labels, predictions);
  EXPECT_EQ(report.classes[2], (api::ClassReport{.name = "SELL"}));
  EXPECT_DOUBLE_EQ(report.f1_score, 1);
}

}  // namespace
}  // namespace ktrdr::training
