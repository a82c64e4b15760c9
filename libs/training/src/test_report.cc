#include "ktrdr/training/test_report.h"

#include "ktrdr/core/check.h"
#include "ktrdr/strategy/labels.h"

namespace ktrdr::training {
namespace {

constexpr std::string_view kClassNames[] = {"BUY", "HOLD", "SELL"};
constexpr auto kClasses = static_cast<std::size_t>(strategy::kLabelClasses);
static_assert(std::size(kClassNames) == kClasses);

using Confusion = std::vector<std::vector<std::int64_t>>;

Confusion count_pairs(std::span<const std::int64_t> labels, std::span<const std::int64_t> predictions) {
  CHECK(labels.size() == predictions.size(), "one prediction per row");
  Confusion confusion(kClasses, std::vector<std::int64_t>(kClasses, 0));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    ++confusion.at(static_cast<std::size_t>(labels[i])).at(static_cast<std::size_t>(predictions[i]));
  }
  return confusion;
}

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

api::ClassReport report_class(const Confusion& confusion, std::size_t index) {
  std::int64_t predicted = 0, support = 0;
  for (std::size_t other = 0; other < kClasses; ++other) {
    predicted += confusion[other][index];
    support += confusion[index][other];
  }
  const auto hits = static_cast<double>(confusion[index][index]);
  api::ClassReport report{.name = std::string(kClassNames[index]), .support = support};
  report.precision = ratio(hits, static_cast<double>(predicted));
  report.recall = ratio(hits, static_cast<double>(support));
  report.f1 = ratio(2 * report.precision * report.recall, report.precision + report.recall);
  return report;
}

}  // namespace

api::TestReport make_test_report(const LossSums& sums, std::span<const std::int64_t> labels,
                                 std::span<const std::int64_t> predictions) {
  api::TestReport report;
  report.samples = static_cast<std::int64_t>(labels.size());
  report.test_loss = ratio(sums.plain_loss, static_cast<double>(sums.count));
  report.test_accuracy = sums.accuracy();
  report.confusion = count_pairs(labels, predictions);
  for (std::size_t index = 0; index < kClasses; ++index) {
    const api::ClassReport& row = report.classes.emplace_back(report_class(report.confusion, index));
    const double share = ratio(static_cast<double>(row.support), static_cast<double>(report.samples));
    report.precision += share * row.precision;
    report.recall += share * row.recall;
    report.f1_score += share * row.f1;
  }
  return report;
}

}  // namespace ktrdr::training
