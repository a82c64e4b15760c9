#include "ktrdr/services/checkpoint_sweeper.h"

#include <algorithm>

#include "ktrdr/core/log.h"

namespace ktrdr::services {

CheckpointSweeper::CheckpointSweeper(storage::OperationsRepository& operations,
                                     checkpoints::CheckpointStore& checkpoints)
    : operations_(operations), checkpoints_(checkpoints) {}

Result<std::int64_t> CheckpointSweeper::sweep() {
  TRY_ASSIGN(const std::vector<OperationId> ids, checkpoints_.operations());
  std::int64_t removed = 0;
  for (const OperationId& id : ids) {
    const auto swept = sweep(id);
    if (swept.ok()) removed += *swept;
    else log(LogLevel::kWarning, "sweep", {{"operation", id.value}, {"error", swept.error().describe()}});
  }
  if (removed > 0)
    log(LogLevel::kInfo, "unreferenced checkpoints removed", {{"count", std::to_string(removed)}});
  return removed;
}

// Lists first and reads the rows afterwards; else one that is committed in between would look unreferenced.
Result<std::int64_t> CheckpointSweeper::sweep(const OperationId& id) {
  TRY_ASSIGN(const std::vector<CheckpointRef> refs, checkpoints_.list(id));
  // Another server's operation, or one of a restored database: not ours to judge.
  const auto row = operations_.get(id);
  if (!row.ok() && row.error().code == ErrorCode::kNotFound) return 0;
  if (!row.ok()) return row.error();
  TRY_ASSIGN(const auto keep, operations_.keep(id));
  // A later attempt than the one we read has begun meanwhile.
  const auto in_use = [&keep, attempt = row->attempt](CheckpointRef ref) {
    return ref.attempt > attempt || std::find(keep.refs.begin(), keep.refs.end(), ref) != keep.refs.end() ||
           (keep.whole_attempt && ref.attempt >= *keep.whole_attempt);
  };
  std::int64_t removed = 0;
  for (const CheckpointRef ref : refs) {
    if (in_use(ref)) continue;
    TRY(checkpoints_.remove(id, ref));
    ++removed;
  }
  TRY_ASSIGN(const std::size_t leftovers, checkpoints_.remove_leftovers(id, in_use));
  return removed + static_cast<std::int64_t>(leftovers);
}

}  // namespace ktrdr::services
