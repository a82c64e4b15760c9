// The operations table in memory: for unit tests of what stands on it, and for cache-only mode, when there is
// no store. It follows the same contract as the SQL stores, except that nothing outlives the process.
#pragma once

#include <memory>

#include "ktrdr/core/clock.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::storage {

// `clock` must outlive the repository.
std::unique_ptr<OperationsRepository> make_memory_repository(Clock& clock);

}  // namespace ktrdr::storage
