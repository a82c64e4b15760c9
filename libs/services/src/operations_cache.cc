#include "ktrdr/services/operations_cache.h"

#include <algorithm>

namespace ktrdr::services {

void OperationsCache::accepted(const OperationId& id, const api::HeartbeatRequest& beat) {
  auto live = live_.lock();
  Live& entry = (*live)[id];
  if (beat.attempt < entry.attempt) return;  // of two answers at once the later attempt's counts
  entry = {beat.attempt, beat.progress, beat.checkpoint_counts};
  entry.progress.percentage = std::clamp(entry.progress.percentage, 0.0, 100.0);
}

void OperationsCache::forget(const OperationId& id) { live_.lock()->erase(id); }

void OperationsCache::show_progress(api::Operation& operation) const {
  if (operation.status != api::OperationStatus::kRunning) return;
  auto live = live_.lock();
  const auto found = live->find({operation.operation_id});
  if (found == live->end() || found->second.attempt != operation.attempt) return;
  // Of two servers each holds only what it was told itself: the further one is the newer one.
  if (found->second.progress.context.global_step < operation.progress.context.global_step) return;
  operation.progress = found->second.progress;
  operation.checkpoint_counts = found->second.checkpoint_counts;
}

std::size_t OperationsCache::size() const { return live_.lock()->size(); }

}  // namespace ktrdr::services
