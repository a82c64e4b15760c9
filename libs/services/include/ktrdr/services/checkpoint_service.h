// Checkpoints as people see them, over all operations: what is kept, how much, since when; deleting and
// cleaning up. Every delete changes the rows first and the files after (rule 10), so what a row names is
// always there. Safe to call from any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "ktrdr/checkpoints/checkpoint_store.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/services/checkpoint_sweeper.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::services {

struct CleanedUp {
  std::int64_t checkpoints_deleted = 0;       // rows that were too old, with their files
  std::int64_t orphan_artifacts_cleaned = 0;  // objects that no row named
};

class CheckpointService {
 public:
  CheckpointService(Clock& clock, storage::OperationsRepository& operations,
                    checkpoints::CheckpointStore& objects);

  // The newest first. kCheckpointNotFound when there is none.
  Result<std::vector<api::CheckpointInfo>> checkpoints(const OperationId& id);
  Result<storage::CheckpointPage> list(const storage::CheckpointQuery& query);
  Result<storage::CheckpointTotals> totals();

  // The operation's new version. kConflict while it is running or pending, kCheckpointNotFound,
  // kPreconditionFailed.
  Result<std::int64_t> remove(const OperationId& id, const storage::Precondition& precondition);

  // Drops the checkpoints of operations that are not live when the newest is older than `max_age`, then
  // sweeps unreferenced objects. An operation that is resumed at this very moment keeps its own. An
  // error of the store or the storage ends it: what was deleted until then stays deleted.
  Result<CleanedUp> clean_up(Duration max_age);

  // "Today minus `days`", as the rows write it; lists of what is older use it too.
  std::string moment_before(Duration age) const;

 private:
  Clock& clock_;
  storage::OperationsRepository& operations_;
  checkpoints::CheckpointStore& objects_;
  CheckpointSweeper sweeper_;
};

}  // namespace ktrdr::services
