// What the contract suite and other tests of a store stand on: an empty repository, a clock that is moved by
// hand, and short words for driving an operation into a state.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::storage::testing {

// One implementation under test; `make` gives an empty repository that may keep files in `folder`. With a
// folder that it has had before it opens the same rows again, if it keeps any.
struct RepositoryFactory {
  std::string name;
  std::function<std::unique_ptr<OperationsRepository>(const std::filesystem::path& folder, Clock& clock)>
      make;
};

inline void PrintTo(const RepositoryFactory& factory, std::ostream* out) { *out << factory.name; }

inline const std::string kSha = std::string(64, 'a');

inline NewOperation new_operation(const std::string& id) {
  NewOperation operation{.id = {id}};
  operation.metadata.symbol = "EURUSD";
  operation.metadata.timeframe = "1h";
  operation.request.strategy_name = "mean_reversion";
  operation.request.strategy_yaml = "name: mean_reversion\n";
  operation.request.symbol = "EURUSD";
  operation.request.timeframe = "1h";
  operation.request.seed = 42;
  return operation;
}

inline api::CheckpointInfo checkpoint(CheckpointRef ref, std::optional<CheckpointRef> parent,
                                      std::optional<std::int64_t> epoch = std::nullopt) {
  return {.ref = ref,
          .parent = parent,
          .checkpoint_type = parent ? api::CheckpointType::kPeriodic : api::CheckpointType::kInitial,
          .epoch = epoch,
          .start_epoch = epoch.value_or(-1) + 1,
          .global_step = epoch.value_or(-1) * 100 + 100,
          .size_bytes = 4096,
          .manifest_digest = "digest-of-" + ref.to_string()};
}

inline api::HeartbeatRequest heartbeat(const Fence& fence, std::vector<std::int64_t> epochs = {}) {
  api::HeartbeatRequest beat{.attempt = fence.attempt, .worker_id = fence.worker.value};
  beat.progress.percentage = 25;
  beat.progress.current_step = "Epoch 3 of 10";
  for (const std::int64_t epoch : epochs) {
    beat.epochs.push_back({.epoch = epoch, .train_loss = 1.0 / (2.0 + static_cast<double>(epoch))});
  }
  return beat;
}

inline api::CompleteRequest completion(const Fence& fence, const std::string& sha = kSha) {
  return {.attempt = fence.attempt,
          .worker_id = fence.worker.value,
          .model_path = "models/x/1",
          .model_sha256 = sha,
          .result = {R"({"seed":42})"}};
}

inline api::StoppedRequest stop(const Fence& fence, api::StopReason reason = api::StopReason::kCancelled) {
  return {.attempt = fence.attempt, .worker_id = fence.worker.value, .reason = reason};
}

inline api::RewindRequest rewind_to(CheckpointRef bad, CheckpointRef previous) {
  return {.bad = bad, .previous = previous, .reason = "model.safetensors is damaged"};
}

// By value: a range-for over `result.value()` of a temporary would walk through freed memory.
template <class T>
T value_of(Result<T> result) {
  return std::move(result).value();
}

class RepositoryTest : public ::testing::Test {
 protected:
  OperationId create(const std::string& id = "op_1") {
    EXPECT_THAT(store().create(new_operation(id), std::nullopt), ktrdr::testing::IsOk());
    return {id};
  }

  // Pending, claimed by worker-1, with checkpoints 1-0 (no epoch) and 1-1 (epoch 0): running.
  Fence start(const OperationId& id) {
    const Fence fence{1, {"worker-1"}};
    EXPECT_THAT(store().claim(id, fence, "alpha"), ktrdr::testing::IsOk());
    commit(id, fence, checkpoint({1, 0}, std::nullopt));
    commit(id, fence, checkpoint({1, 1}, CheckpointRef{1, 0}, 0));
    return fence;
  }

  void commit(const OperationId& id, const Fence& fence, const api::CheckpointInfo& info) {
    ASSERT_THAT(store().commit_checkpoint(id, fence, info), ktrdr::testing::IsOk());
  }

  // Failed at attempt 1, with two checkpoints.
  OperationId failed(const std::string& name = "op_1") {
    const OperationId id = create(name);
    EXPECT_THAT(store().fail(id, start(id), "out of memory"), ktrdr::testing::IsOk());
    return id;
  }

  api::Operation get(const OperationId& id) {
    Result<api::Operation> operation = store().get(id);
    EXPECT_THAT(operation, ktrdr::testing::IsOk());
    return operation.ok() ? *operation : api::Operation{};
  }

  // All that a client or a worker can read of an operation: two equal texts mean that nothing was changed.
  std::string everything(const OperationId& id) {
    std::string text = api::to_json(get(id)) + "\n" + api::to_json(store().job(id).value());
    for (const api::OperationEvent& event : value_of(store().events(id, {})).events) {
      text += "\n" + api::to_json(event);
    }
    for (const Pulse& pulse : value_of(store().pulses())) {
      if (pulse.id == id) text += "\nheartbeat " + std::to_string(pulse.heartbeat_sequence);
    }
    for (const Waiting& waiting : value_of(store().waiting(1000))) {
      if (waiting.id == id) text += "\nwaiting at " + std::to_string(waiting.attempt);
    }
    return text;
  }

  Pulse pulse_of(const OperationId& id) {
    for (const Pulse& pulse : value_of(store().pulses())) {
      if (pulse.id == id) return pulse;
    }
    return {.id = id};
  }

  virtual OperationsRepository& store() = 0;

  ktrdr::testing::TemporaryFolder folder_;
  ktrdr::testing::ManualClock clock_;
};

}  // namespace ktrdr::storage::testing
