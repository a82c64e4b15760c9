// A service with everything under it in memory, and a clock that a test turns. Used by one thread.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ktrdr/checkpoints/testing/memory_checkpoint_store.h"
#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/services/operations_service.h"
#include "ktrdr/services/task_queue.h"
#include "ktrdr/services/testing/fake_worker_gateway.h"
#include "ktrdr/storage/memory_repository.h"

namespace ktrdr::services {

// The store looks at it in the middle of a write: whatever happens `meanwhile` happens then.
struct StoreClock final : Clock {
  explicit StoreClock(const Clock& now) : clock(now) {}
  std::int64_t wall_ms() const override {
    if (meanwhile) meanwhile();
    return clock.wall_ms();
  }
  Duration monotonic() const override { return clock.monotonic(); }

  const Clock& clock;
  std::function<void()> meanwhile;
};

struct OperationsBench {
  const std::int64_t max_restarts = 0;
  ktrdr::testing::ManualClock clock;
  StoreClock store_clock{clock};
  std::unique_ptr<storage::OperationsRepository> store = storage::make_memory_repository(store_clock);
  checkpoints::testing::MemoryCheckpointStore checkpoint_store;
  WorkerRegistry workers{clock, std::chrono::seconds(2)};
  testing::FakeWorkerGateway gateway;
  Dispatcher dispatcher{clock, *store, workers, gateway};
  TaskQueue dispatches{"test", 1, 10};
  OperationsService service{clock,   *store,     checkpoint_store, workers,
                            gateway, dispatcher, dispatches,       max_restarts};
  const OperationId id{"op_1"};

  explicit OperationsBench(std::int64_t restarts = 0) : max_restarts(restarts) {
    EXPECT_THAT(store->create({.id = id, .request = {.strategy_yaml = "x"}}, std::nullopt),
                ktrdr::testing::IsOk());
  }

  void connect_worker(const std::string& worker = "worker-1") {
    EXPECT_THAT(workers.add({.worker_id = worker, .endpoint_url = "http://" + worker + ":1"}),
                ktrdr::testing::IsOk());
  }
  void claim(Attempt attempt = 1) {
    EXPECT_THAT(service.claim(id, {attempt, "worker-1", "desk"}), ktrdr::testing::IsOk());
  }
  void commit(Attempt attempt, std::int64_t sequence, std::optional<CheckpointRef> parent) {
    EXPECT_THAT(
        service.commit_checkpoint(id, {attempt, "worker-1", {.ref = {attempt, sequence}, .parent = parent}}),
        ktrdr::testing::IsOk());
  }
  // Failed, with a checkpoint.
  void run_until_failed() {
    claim();
    commit(1, 0, std::nullopt);
    EXPECT_THAT(service.fail(id, {1, "worker-1", "boom"}), ktrdr::testing::IsOk());
  }
  Result<api::ResumeOperationData> resume() {
    std::optional<Result<api::ResumeOperationData>> answer;
    service.resume(id, {}, {}, std::nullopt, [&](auto result) { answer = std::move(result); });
    dispatches.stop();  // runs what was posted
    return *answer;
  }
};

}  // namespace ktrdr::services
