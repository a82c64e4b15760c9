// What the store knows of a checkpoint: enough to find it, to verify it and to tell a person what it holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/core/checkpoint_type.h"
#include "ktrdr/core/ids.h"

namespace ktrdr::api {

using ktrdr::CheckpointType;
using ktrdr::parse_checkpoint_type;
using ktrdr::to_string;

struct CheckpointInfo {
  CheckpointRef ref;
  std::optional<CheckpointRef> parent;  // the last checkpoint the server had acknowledged; none for the first
  CheckpointType checkpoint_type = CheckpointType::kPeriodic;
  std::optional<std::int64_t> epoch;  // the last completed epoch, 0-based; none before the first is complete
  std::int64_t start_epoch = 0;       // where a resumed run goes on: the epoch ...
  std::int64_t start_batch = 0;       // ... and the batch in it
  std::int64_t global_step = 0;
  std::string created_at;  // ISO-8601, the server's clock
  std::int64_t size_bytes = 0;
  std::string manifest_digest;
  bool operator==(const CheckpointInfo&) const = default;
};

// What saving has come to since an attempt was claimed, as its worker counts it. Only ever grows.
struct CheckpointCounts {
  std::int64_t saved = 0;        // acknowledged by the server
  std::int64_t failed = 0;       // taken and not saved; training went on with the one before
  std::int64_t bytes_saved = 0;  // of the saved ones
  double pause_seconds = 0;      // training stood still, to copy its state
  double processor_seconds = 0;  // of the thread that writes while training goes on
  bool operator==(const CheckpointCounts&) const = default;
};

// What a person wants to know of a checkpoint besides: how good the model was at that point. What is not
// known is left out; the Python project's clients take a null for a number.
struct CheckpointState : CheckpointInfo {
  std::optional<std::int64_t> total_epochs;
  std::optional<double> train_loss, val_loss, train_accuracy, val_accuracy;  // of the last completed epoch
  std::optional<double> best_val_loss;                                       // up to that epoch
  std::optional<double> learning_rate;
};

// GET /checkpoints/{operation_id}: the current checkpoint first, then its predecessor.
struct CheckpointData {
  std::string operation_id;
  CheckpointType checkpoint_type = CheckpointType::kPeriodic;
  std::string created_at;
  CheckpointState state;
  std::vector<CheckpointInfo> kept;
  std::string artifacts_path;
};

struct CheckpointResponse {
  bool success = true;
  CheckpointData data;
};

// One line of GET /checkpoints: the current checkpoint of an operation.
struct CheckpointSummary {
  std::string operation_id;
  CheckpointType checkpoint_type = CheckpointType::kPeriodic;
  std::string created_at;
  CheckpointState state_summary;
  std::int64_t artifacts_size_bytes = 0;
};

struct CheckpointListResponse {
  bool success = true;
  std::vector<CheckpointSummary> data;
  std::optional<std::int64_t> total_count;  // in the first page
  std::optional<std::string> next_cursor;
};

struct CheckpointStatsResponse {
  bool success = true;
  std::int64_t total_checkpoints = 0;  // operations that have one, as in the list
  std::int64_t kept_checkpoints = 0;   // with the predecessors that are kept as a fall-back
  std::int64_t total_size_bytes = 0;   // of all that are kept
  std::optional<std::string> oldest_checkpoint;
};

struct CheckpointsDeletedResponse {
  bool success = true;
  std::string message;
  std::int64_t version = 0;  // the operation's
};

struct CheckpointCleanupResponse {
  bool success = true;
  std::int64_t checkpoints_deleted = 0, orphan_artifacts_cleaned = 0;
};

}  // namespace ktrdr::api
