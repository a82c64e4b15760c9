// What running operations reported last: the seed's cache. It holds live progress and nothing else, is
// changed only after the store accepted the change it belongs to, and never decides anything: status is
// always the store's. An entry counts only for the attempt that wrote it. Safe to call from any thread.
#pragma once

#include <map>

#include "ktrdr/api/worker.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/core/synchronized.h"

namespace ktrdr::services {

class OperationsCache {
 public:
  void accepted(const OperationId& id, const api::HeartbeatRequest& beat);
  void forget(const OperationId& id);

  // Shows the last accepted progress on a row that was read: the row may come from a moment before it.
  void show_progress(api::Operation& operation) const;

  std::size_t size() const;

 private:
  struct Live {
    Attempt attempt = 0;
    api::Progress progress;
    api::CheckpointCounts checkpoint_counts;
  };
  mutable Synchronized<std::map<OperationId, Live>> live_;
};

}  // namespace ktrdr::services
