// Starting a training: everything that can be wrong is found here, before a row exists, and everything that
// could move later (the end of the data, the seed) is pinned. Safe to call from any thread.
#pragma once

#include <filesystem>
#include <optional>

#include "ktrdr/api/training.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/services/worker_registry.h"
#include "ktrdr/storage/operations_repository.h"
#include "ktrdr/strategy/dataset.h"

namespace ktrdr::services {

struct TrainingFolders {
  std::filesystem::path market_data;  // used when a request names no data_dir
  std::filesystem::path strategies;   // where strategy_name is looked up
};

class TrainingsService {
 public:
  TrainingsService(Clock& clock, storage::OperationsRepository& operations, WorkerRegistry& workers,
                   TrainingFolders folders);

  // A pending operation, or an error that changed nothing: kInvalidArgument and kUnsupported name every
  // problem of the strategy at once, or the data file's line; kConflict when the task_id exists. The caller
  // wakes the dispatcher.
  Result<api::StartTrainingResponse> start(const api::StartTrainingRequest& request,
                                           const std::optional<storage::IdempotencyKey>& key);

 private:
  Result<api::StartTrainingResponse> accepted(const api::Operation& operation);
  Result<std::string> strategy_text(const api::StartTrainingRequest& request) const;
  Result<strategy::DataSelection> data_selection(const api::StartTrainingRequest& request) const;

  Clock& clock_;
  storage::OperationsRepository& operations_;
  WorkerRegistry& workers_;
  const TrainingFolders folders_;
};

}  // namespace ktrdr::services
