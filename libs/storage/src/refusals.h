// Why a change did not apply. Each function is called after the conditional change of its name matched no
// row, with the row as it is; it decides nothing that is stored. Those that return an optional answer nothing
// when the request had been applied before (its answer was lost): the caller then gives the same answer
// again.
#pragma once

#include <optional>

#include "stored_operation.h"

namespace ktrdr::storage {

Error refuse_unknown(const OperationId& id);
Error refuse_existing(const OperationId& id);
Error refuse_reused_key();

// What a resume can be refused for without reading the whole row; nothing when it is resumable as far as this
// tells.
struct Standing {
  OperationId id;
  api::OperationStatus status = api::OperationStatus::kPending;
  std::int64_t version = 0;
};
std::optional<Error> refuse_resume(const Standing& standing, const Precondition& precondition);
Error refuse_resume(const StoredOperation& stored, const Precondition& precondition);
Error refuse_retry(const StoredOperation& stored, const OperationId& new_id,
                   const Precondition& precondition);
std::optional<Error> refuse_claim(const StoredOperation& stored, const Fence& fence);
Error refuse_fence(const StoredOperation& stored, const Fence& fence);
std::optional<Error> refuse_commit(const StoredOperation& stored, const Fence& fence,
                                   const api::CheckpointInfo& checkpoint);
std::optional<Error> refuse_rewind(const StoredOperation& stored, const Fence& fence,
                                   const api::RewindRequest& request);
std::optional<Error> refuse_complete(const StoredOperation& stored, const api::CompleteRequest& request);
std::optional<Error> refuse_fail(const StoredOperation& stored, const Fence& fence,
                                 const std::string& message);
std::optional<Error> refuse_stopped(const StoredOperation& stored, const Fence& fence);
std::optional<Error> refuse_fail_unclaimed(const StoredOperation& stored, Attempt attempt,
                                           const std::string& message);
std::optional<Error> refuse_cancel(const StoredOperation& stored, const Precondition& precondition);
Error refuse_drop(const StoredOperation& stored, const Precondition& precondition);

// A commit that no row could ever accept: a name that is not of this attempt, or negative numbers.
Result<void> check_commit(const Fence& fence, const api::CheckpointInfo& checkpoint);

}  // namespace ktrdr::storage
