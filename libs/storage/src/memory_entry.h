// One operation in the memory store, with all that belongs to it, and the changes that keep its parts
// together. What decides about them is in memory_repository.cc.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "events.h"
#include "stored_operation.h"

namespace ktrdr::storage {

struct Entry {
  StoredOperation stored;
  api::TrainingRequest request;
  std::vector<StoredCheckpoint> checkpoints;  // oldest first; the current one is the newest
  std::map<std::int64_t, api::EpochMetrics> epochs;
  std::vector<std::string> warnings;
  std::vector<api::OperationEvent> events;  // oldest first

  api::Operation& row() { return stored.operation; }

  bool is_waiting() const {
    const bool is_active = !is_finished(stored.operation.status);
    return is_active && !stored.operation.worker_id;
  }

  // After every change of `checkpoints`.
  void point_to_newest() {
    stored.checkpoint = checkpoints.empty() ? std::nullopt : std::optional(checkpoints.back());
    row().checkpoint = checkpoints.empty() ? std::nullopt : std::optional(checkpoints.back().info);
  }

  void rewind_epochs() {
    const std::int64_t last_completed = stored.checkpoint ? stored.checkpoint->info.epoch.value_or(-1) : -1;
    epochs.erase(epochs.upper_bound(last_completed), epochs.end());
  }

  void store_epochs(const std::vector<api::EpochMetrics>& finished) {
    for (const api::EpochMetrics& epoch : finished) epochs[epoch.epoch] = storable(epoch);
  }

  void warn(const std::string& text) {
    if (std::find(warnings.begin(), warnings.end(), text) == warnings.end()) warnings.push_back(text);
  }

  void end(api::OperationStatus status, Ending ending, const std::string& now) {
    row().status = status;
    row().phase = api::Phase::kNone;
    row().version += 1;
    row().completed_at = now;
    stored.ended_by = ending;
  }

  void queue_next_attempt() {
    row().status = api::OperationStatus::kRunning;
    row().phase = api::Phase::kQueued;
    row().attempt += 1;
    row().version += 1;
    row().worker_id.reset();
    row().worker_name.reset();
    row().last_heartbeat_at.reset();
    stored.heartbeat_sequence = 0;
    stored.ended_by = Ending::kNone;
  }

  void restart(Ending cause, const std::string& reason, std::optional<BatchPosition> failed_at) {
    row().restarts = row().restarts.value_or(0) + 1;
    row().restart_reason = reason;
    stored.restart = {cause, row().worker_id.value_or(""), failed_at};
    queue_next_attempt();
  }

  void hand_over() {
    row().restart_reason = message_of_hand_over(stored);
    stored.restart = {Ending::kStopped, row().worker_id.value_or(""), stored.restart.failed_at};
    queue_next_attempt();
  }

  std::vector<CheckpointRef> drop_all_checkpoints() {
    std::vector<CheckpointRef> refs;
    for (const StoredCheckpoint& checkpoint : checkpoints) refs.push_back(checkpoint.info.ref);
    checkpoints.clear();
    point_to_newest();
    return refs;
  }

  std::int64_t last_event() const { return events.empty() ? 0 : events.back().sequence; }

  // After the change.
  void append(Event event, const std::string& now) {
    const std::int64_t sequence = last_event() + 1;
    events.push_back(entry_of(stored, std::move(event), now));
    events.back().sequence = sequence;
    if (events.back().kind != api::EventKind::kCheckpoint) return;
    std::erase_if(events, [&](const api::OperationEvent& old) {
      return old.kind == api::EventKind::kCheckpoint && old.sequence <= sequence - kEventsBehindACheckpoint;
    });
  }

  api::Operation whole() const {
    api::Operation operation = stored.operation;
    operation.warnings = warnings;
    if (epochs.empty()) return operation;
    operation.metrics.emplace();
    for (const auto& [number, epoch] : epochs) operation.metrics->epochs.push_back(epoch);
    return operation;
  }
};

}  // namespace ktrdr::storage
