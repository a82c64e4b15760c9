// What people are told of checkpoints that could not be saved: the first failure of a row of them, its 10th,
// its 100th and so on with the count, and the success that ends it. A storage that fails for a week, or one
// that comes and goes, fills no page. The log and the counts have every single failure.
//
// Used by one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ktrdr/core/ids.h"

namespace ktrdr::worker {

class SaveFailures {
 public:
  // A warning to show, or nothing when this failure adds nothing new.
  std::optional<std::string> failed(CheckpointRef ref, const std::string& reason);
  // The line that ends a row of failures that was told of; nothing when there was none.
  std::optional<std::string> saved(CheckpointRef ref);

 private:
  std::int64_t rows_ = 0;    // of failures, with a success between any two
  std::int64_t in_row_ = 0;  // 0: the last save was good
};

}  // namespace ktrdr::worker
