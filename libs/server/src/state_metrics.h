// How things stand: operations and workers by status, and how long the most silent worker has been silent.
// Brought up to date by loops, so that a scrape costs the store nothing. Used by one thread a method.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "ktrdr/core/clock.h"
#include "ktrdr/metrics/registry.h"
#include "ktrdr/services/worker_registry.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::server {

class StateMetrics {
 public:
  // All outlive it.
  StateMetrics(metrics::Registry& registry, storage::OperationsRepository& operations,
               services::WorkerRegistry& workers);

  // Reads the store. What it can't tell is NaN from then on.
  void refresh(std::size_t dying_local_workers);

  // What the watch over the leases saw; nothing when it could not look.
  struct Leases {
    std::size_t claimed = 0;
    Duration longest_silence{0};
  };
  void saw(const std::optional<Leases>& leases);

 private:
  void refresh_operations();

  storage::OperationsRepository& operations_;
  services::WorkerRegistry& workers_;
  std::map<api::OperationStatus, metrics::Gauge> operation_gauges_;
  std::map<std::string, metrics::Gauge> worker_gauges_;
  metrics::Gauge claimed_, lease_age_, dying_local_workers_;
};

}  // namespace ktrdr::server
