#include "state_metrics.h"

#include <limits>

namespace ktrdr::server {
namespace {

using api::OperationStatus;

constexpr OperationStatus kStatuses[] = {OperationStatus::kPending, OperationStatus::kRunning,
                                         OperationStatus::kCompleted, OperationStatus::kFailed,
                                         OperationStatus::kCancelled};
constexpr const char* kWorkerStatuses[] = {"available", "busy", "temporarily_unavailable"};
constexpr double kNotKnown = std::numeric_limits<double>::quiet_NaN();

}  // namespace

StateMetrics::StateMetrics(metrics::Registry& registry, storage::OperationsRepository& operations,
                           services::WorkerRegistry& workers)
    : operations_(operations),
      workers_(workers),
      claimed_(registry.gauge(
          {"ktrdr_operations_claimed", "Running operations that a worker owns; the others wait for one."})),
      lease_age_(registry.gauge({"ktrdr_lease_age_seconds",
                                 "How long the most silent worker of a running operation has been silent."})),
      dying_local_workers_(registry.gauge(
          {"ktrdr_local_workers_dying", "Local workers that keep dying soon after they were started."})) {
  for (const OperationStatus status : kStatuses) {
    operation_gauges_.emplace(status,
                              registry.gauge({"ktrdr_operations", "Operations in the database, by status."},
                                             {{"status", std::string(to_string(status))}}));
  }
  for (const char* status : kWorkerStatuses) {
    worker_gauges_.emplace(status,
                           registry.gauge({"ktrdr_workers", "Workers that this server knows, by status."},
                                          {{"status", status}}));
  }
}

// From the store's counters: it counts no rows. A store that is away is asked once, for it may take its time.
void StateMetrics::refresh_operations() {
  bool is_known = true;
  for (auto& [status, gauge] : operation_gauges_) {
    const auto page = is_known ? operations_.list({.status = status, .limit = 0}) : storage::OperationPage{};
    is_known = is_known && page.ok();
    gauge.set(is_known ? static_cast<double>(page->total_count) : kNotKnown);
  }
}

void StateMetrics::refresh(std::size_t dying_local_workers) {
  refresh_operations();
  std::map<std::string, double> workers;
  for (const api::WorkerInfo& worker : workers_.list()) ++workers[worker.status];
  for (auto& [status, gauge] : worker_gauges_) gauge.set(workers[status]);
  dying_local_workers_.set(static_cast<double>(dying_local_workers));
}

void StateMetrics::saw(const std::optional<Leases>& leases) {
  claimed_.set(leases ? static_cast<double>(leases->claimed) : kNotKnown);
  lease_age_.set(leases ? std::chrono::duration<double>(leases->longest_silence).count() : kNotKnown);
}

}  // namespace ktrdr::server
