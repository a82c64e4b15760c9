#include "ktrdr/worker/measured_checkpoint_store.h"

#include "ktrdr/worker/training_worker.h"

namespace ktrdr::worker {
namespace {

metrics::Counter restores(metrics::Registry& registry, const char* outcome) {
  return registry.counter({"ktrdr_checkpoint_restores_total", "Checkpoints read to go on from."},
                          {{"outcome", outcome}});
}

}  // namespace

MeasuredCheckpointStore::MeasuredCheckpointStore(const Clock& clock, checkpoints::CheckpointStore& store,
                                                 metrics::Registry& registry)
    : clock_(clock),
      store_(store),
      restored_(restores(registry, "restored")),
      damaged_(restores(registry, "damaged")),
      unreadable_(restores(registry, "unreadable")),
      restore_(registry.histogram(
          {"ktrdr_checkpoint_restore_seconds", "How long reading and verifying a checkpoint took."},
          metrics::latency_bounds())) {}

Result<checkpoints::VerifiedCheckpoint> MeasuredCheckpointStore::load(const OperationId& operation,
                                                                      CheckpointRef ref) const {
  const Duration before = clock_.monotonic();
  auto loaded = store_.load(operation, ref);
  restore_.observe(std::chrono::duration<double>(clock_.monotonic() - before).count());
  if (loaded.ok()) {
    restored_.add();
  } else if (is_damage(loaded.error())) {
    damaged_.add();
  } else {
    unreadable_.add();
  }
  return loaded;
}

// ---- passed on ----

Result<checkpoints::StoredCheckpoint> MeasuredCheckpointStore::put(
    const checkpoints::CheckpointContent& content) {
  return store_.put(content);
}

Result<std::vector<CheckpointRef>> MeasuredCheckpointStore::list(const OperationId& operation) const {
  return store_.list(operation);
}

Result<std::vector<OperationId>> MeasuredCheckpointStore::operations() const { return store_.operations(); }

std::optional<std::uint64_t> MeasuredCheckpointStore::free_bytes() const { return store_.free_bytes(); }

Result<void> MeasuredCheckpointStore::remove(const OperationId& operation, CheckpointRef ref) {
  return store_.remove(operation, ref);
}

Result<void> MeasuredCheckpointStore::remove_operation(const OperationId& operation) {
  return store_.remove_operation(operation);
}

Result<std::size_t> MeasuredCheckpointStore::remove_leftovers(
    const OperationId& operation, const std::function<bool(CheckpointRef)>& may_be_in_use) {
  return store_.remove_leftovers(operation, may_be_in_use);
}

}  // namespace ktrdr::worker
