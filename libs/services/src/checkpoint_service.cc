#include "ktrdr/services/checkpoint_service.h"

#include <algorithm>

#include "checkpoint_files.h"
#include "ktrdr/core/log.h"

namespace ktrdr::services {

void remove_files(checkpoints::CheckpointStore& objects, const OperationId& id,
                  const std::vector<CheckpointRef>& refs) {
  for (const CheckpointRef ref : refs) {
    if (const auto removed = objects.remove(id, ref); !removed.ok()) {
      log(LogLevel::kWarning, "a checkpoint's files are left for the sweep",
          {{"operation", id.value},
           {"attempt", std::to_string(ref.attempt)},
           {"checkpoint", ref.to_string()},
           {"error", removed.error().describe()}});
    }
  }
}

namespace {

// What may happen to a row between the list and the change: both are fine to leave alone.
bool is_live_or_gone(const Error& error) {
  return error.code == ErrorCode::kConflict || error.code == ErrorCode::kPreconditionFailed ||
         error.code == ErrorCode::kCheckpointNotFound;
}

}  // namespace

CheckpointService::CheckpointService(Clock& clock, storage::OperationsRepository& operations,
                                     checkpoints::CheckpointStore& objects)
    : clock_(clock), operations_(operations), objects_(objects), sweeper_(operations, objects) {}

Result<std::vector<api::CheckpointInfo>> CheckpointService::checkpoints(const OperationId& id) {
  TRY_ASSIGN(std::vector<api::CheckpointInfo> kept, operations_.checkpoints(id));
  if (!kept.empty()) return kept;
  return Error(ErrorCode::kCheckpointNotFound,
               "The checkpoint of operation " + id.value + " was not found: it has none.");
}

Result<storage::CheckpointPage> CheckpointService::list(const storage::CheckpointQuery& query) {
  return operations_.list_checkpoints(query);
}

Result<storage::CheckpointTotals> CheckpointService::totals() { return operations_.checkpoint_totals(); }

Result<std::int64_t> CheckpointService::remove(const OperationId& id,
                                               const storage::Precondition& precondition) {
  TRY_ASSIGN(const storage::Committed committed, operations_.drop_checkpoints(id, precondition));
  remove_files(objects_, id, committed.dropped);
  return committed.version;
}

std::string CheckpointService::moment_before(Duration age) const {
  return iso8601_utc(std::max<std::int64_t>(0, clock_.wall_ms() - age.count()));
}

Result<CleanedUp> CheckpointService::clean_up(Duration max_age) {
  storage::CheckpointQuery query{.created_before = moment_before(max_age)};
  CleanedUp cleaned;
  do {
    TRY_ASSIGN(const storage::CheckpointPage page, operations_.list_checkpoints(query));
    for (const storage::OperationCheckpoint& old : page.checkpoints) {
      // The version fences: whoever was resumed since the list was read is another run with its own
      // checkpoints.
      const auto removed = remove(old.operation, {.if_version = old.operation_version});
      if (removed.ok()) ++cleaned.checkpoints_deleted;
      else if (!is_live_or_gone(removed.error())) return removed.error();
    }
    query.after = page.next;
  } while (query.after);
  TRY_ASSIGN(cleaned.orphan_artifacts_cleaned, sweeper_.sweep());
  return cleaned;
}

}  // namespace ktrdr::services
