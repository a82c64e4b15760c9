// Which workers are there. In memory only: a worker registers again with every sign of life, so after a
// restart of the server the registry fills up within one interval. It says where work can be sent; whose work
// counts is decided by the claim in the store. Safe to call from any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/api/worker.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/core/synchronized.h"

namespace ktrdr::services {

class WorkerRegistry {
 public:
  WorkerRegistry(Clock& clock, Duration sign_of_life_interval);

  // Adds or renews. Another worker at the same endpoint is gone: its process was replaced. kInvalidArgument
  // for a bad id or an endpoint that is not http://host:port.
  Result<api::WorkerInfo> add(const api::WorkerRegistration& registration);

  // Connected ones, by name. Silent for 3 intervals: temporarily_unavailable. Silent for 300 s: forgotten.
  std::vector<api::WorkerInfo> list();
  Result<api::WorkerInfo> get(const WorkerId& id);
  std::int64_t connected_count();  // available or busy

  // Free workers, least recently used first.
  std::vector<api::WorkerInfo> available();

  // What the dispatcher learned; corrected by the worker's next sign of life.
  void mark_busy(const std::string& worker_id, const std::string& operation_id);
  void mark_unreachable(const std::string& worker_id);

 private:
  struct Entry {
    api::WorkerInfo info;
    Duration last_sign_of_life{0};
    Duration last_used{0};
    bool unreachable = false;
  };
  using Entries = std::map<std::string, Entry>;

  api::WorkerInfo describe(const Entry& entry) const;
  void forget_silent(Entries& entries) const;

  Clock& clock_;
  const Duration interval_;
  Synchronized<Entries> entries_;
};

}  // namespace ktrdr::services
