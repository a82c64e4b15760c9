// Real processes: how long it takes until a death is noticed, and until a server that came back knows its
// workers.
#include <algorithm>

#include "benches.h"
#include "support/test_system.h"

namespace ktrdr::bench {
namespace {

using api::OperationStatus;
using system_test::demanding_strategy;
using system_test::eventually;
using system_test::SystemOptions;
using system_test::TestSystem;

constexpr double kLeaseSeconds = 2;
constexpr int kDeaths = 5;
constexpr int kLiveWorkers = 3;
constexpr double kDefaultLeaseSeconds = 10, kHeartbeatSeconds = 2;
constexpr Duration kPatience = std::chrono::seconds(60);

OperationId training_that_lasts(TestSystem& system) {
  const OperationId id = system.start_training({.strategy_yaml = demanding_strategy(5000)});
  system.wait_for_step(id, 20);
  return id;
}

bool server_knows(const std::string& option) {
  return system_test::run(
             {.program = std::filesystem::path(KTRDR_PROGRAMS) / "ktrdr", .arguments = {"serve", "--help"}})
             .out.find(option) != std::string::npos;
}

// From the kill to the moment when `noticed(operation)` holds, in leases.
template <class Noticed>
double leases_until(TestSystem& system, const OperationId& id, Noticed noticed) {
  const auto killed = Stopwatch::now();
  system.signal_worker(id, SIGKILL);
  CHECK(eventually([&] { return noticed(system.operation(id)); }, kPatience), "a death is noticed some day");
  return seconds_since(killed) / kLeaseSeconds;
}

void killed_to_failed(Figures& figures) {
  TestSystem system({.lease_seconds = kLeaseSeconds});  // the local worker is started again by the server
  std::vector<double> leases;
  for (int death = 0; death < kDeaths; ++death) {
    const OperationId id = training_that_lasts(system);
    leases.push_back(leases_until(
        system, id, [](const api::Operation& now) { return now.status == OperationStatus::kFailed; }));
  }
  figures.below("worker_killed_to_failed_leases_worst_of_5", quantile(leases, 1), 1.5);
}

void killed_to_training_again(Figures& figures) {
  TestSystem system({.local_workers = 2,
                     .lease_seconds = kLeaseSeconds,
                     .serve_options = {"--max-restarts", std::to_string(kDeaths)}});
  std::vector<double> leases;
  for (int death = 0; death < kDeaths; ++death) {
    system.wait_for_workers(2);
    const OperationId id = training_that_lasts(system);
    leases.push_back(leases_until(system, id, [](const api::Operation& now) {
      return now.attempt == 2 && now.phase == api::Phase::kTraining;
    }));
    CHECK(system.api().cancel(id, {}).ok(), "what trains can be cancelled");
    system.wait_for_status(id, OperationStatus::kCancelled);
  }
  figures.below("worker_killed_to_training_again_leases_worst_of_5", quantile(leases, 1), 1.5);
}

// What a client would see flicker.
struct Face {
  OperationStatus status;
  Attempt attempt;
  std::int64_t version;
  bool operator==(const Face&) const = default;
};

Face face_of(const api::Operation& operation) {
  return {operation.status, operation.attempt, operation.version};
}

bool has_adopted(TestSystem& system, const OperationId& id,
                 const std::optional<std::string>& heartbeat_before) {
  const auto workers = system.api().workers();
  const bool is_known =
      workers.ok() && std::any_of(workers->begin(), workers->end(), [&](const auto& worker) {
        return worker.current_operation_id == id.value;
      });
  return is_known && system.operation(id).last_heartbeat_at != heartbeat_before;
}

}  // namespace

void worker_killed(Figures& figures) {
  killed_to_failed(figures);
  if (server_knows("--max-restarts")) killed_to_training_again(figures);
  else std::fprintf(stderr, "  this server does not restart by itself: no figure for training again\n");
}

void server_restarted(Figures& figures) {
  TestSystem system({.local_workers = 0, .lease_seconds = kDefaultLeaseSeconds});
  std::vector<OperationId> ids;
  for (int i = 0; i < kLiveWorkers; ++i) {
    system.start_worker("worker-" + std::to_string(i));
    system.wait_for_workers(i + 1);
    ids.push_back(training_that_lasts(system));
  }
  std::vector<api::Operation> before;
  for (const OperationId& id : ids) before.push_back(system.operation(id));
  system.kill_server();
  system.start_server();
  const auto ready = Stopwatch::now();
  double slowest = 0;
  int unchanged = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    bool is_same = true;
    const bool adopted = eventually(
        [&] {
          is_same = is_same && face_of(system.operation(ids[i])) == face_of(before[i]);
          return has_adopted(system, ids[i], before[i].last_heartbeat_at);
        },
        kPatience);
    CHECK(adopted, "a live worker comes back to its server");
    slowest = std::max(slowest, seconds_since(ready) / kHeartbeatSeconds);
    unchanged += is_same ? 1 : 0;
  }
  figures.below("server_restart_to_readopted_heartbeats", slowest, 3);
  figures.always("server_restart_without_change_of_status", unchanged, kLiveWorkers);
}

}  // namespace ktrdr::bench
