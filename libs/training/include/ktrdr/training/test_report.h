// What a trained model is worth on rows it has never seen.
#pragma once

#include <cstdint>
#include <span>

#include "ktrdr/api/training.h"
#include "ktrdr/training/engine.h"

namespace ktrdr::training {

// `labels` and `predictions` are classes of the same rows: 0 BUY, 1 HOLD, 2 SELL. Precision, recall and F1 as
// in scikit-learn: per class, 0 where undefined, and averaged with the class's support as weight. The loss is
// the plain cross entropy of `sums`.
api::TestReport make_test_report(const LossSums& sums, std::span<const std::int64_t> labels,
                                 std::span<const std::int64_t> predictions);

}  // namespace ktrdr::training
