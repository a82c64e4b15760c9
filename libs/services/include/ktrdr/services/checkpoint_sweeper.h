// Deletes checkpoint objects that no row names (rule 11): what crashed workers, lost answers and interrupted
// deletes left behind. Never touches the current attempt of a running operation, whatever its age, because
// its worker writes the object first and the row after. Called by one loop.
#pragma once

#include "ktrdr/checkpoints/checkpoint_store.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::services {

class CheckpointSweeper {
 public:
  CheckpointSweeper(storage::OperationsRepository& operations, checkpoints::CheckpointStore& checkpoints);

  // Returns how many objects went. Goes on after an error with one operation and logs it; an error when the
  // storage can't be listed.
  Result<std::int64_t> sweep();

 private:
  Result<std::int64_t> sweep(const OperationId& id);

  storage::OperationsRepository& operations_;
  checkpoints::CheckpointStore& checkpoints_;
};

}  // namespace ktrdr::services
