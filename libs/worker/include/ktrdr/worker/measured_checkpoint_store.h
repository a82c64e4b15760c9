// Counts and times, for Prometheus, the checkpoints that are read to go on from, and passes everything on.
// docs/metrics.md says what each metric means. Owned by the process; as safe as the store behind it.
#pragma once

#include "ktrdr/checkpoints/checkpoint_store.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/metrics/registry.h"

namespace ktrdr::worker {

class MeasuredCheckpointStore final : public checkpoints::CheckpointStore {
 public:
  MeasuredCheckpointStore(const Clock& clock, checkpoints::CheckpointStore& store,
                          metrics::Registry& registry);

  Result<checkpoints::StoredCheckpoint> put(const checkpoints::CheckpointContent& content) override;
  Result<checkpoints::VerifiedCheckpoint> load(const OperationId& operation,
                                               CheckpointRef ref) const override;
  Result<std::vector<CheckpointRef>> list(const OperationId& operation) const override;
  Result<std::vector<OperationId>> operations() const override;
  std::optional<std::uint64_t> free_bytes() const override;
  Result<void> remove(const OperationId& operation, CheckpointRef ref) override;
  Result<void> remove_operation(const OperationId& operation) override;
  Result<std::size_t> remove_leftovers(const OperationId& operation,
                                       const std::function<bool(CheckpointRef)>& may_be_in_use) override;

 private:
  const Clock& clock_;
  checkpoints::CheckpointStore& store_;
  mutable metrics::Counter restored_, damaged_, unreadable_;
  mutable metrics::Histogram restore_;
};

}  // namespace ktrdr::worker
