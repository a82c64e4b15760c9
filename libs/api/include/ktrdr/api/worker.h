// What workers and the server say to each other. Every write of a worker names (attempt, worker_id) and is
// refused with code STALE when another pair owns the operation or it is not running: whoever gets that answer
// stops at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/api/checkpoint.h"
#include "ktrdr/api/operation.h"

namespace ktrdr::api {

// ---- worker to server ----

// POST /workers/register; repeated as the sign of life of a worker.
struct WorkerRegistration {
  std::string worker_id, worker_type = "training", name, endpoint_url;
  JsonText capabilities{"{}"};
  std::optional<std::string> current_operation_id;
  JsonText completed_operations{"[]"};  // accepted for the Python project's workers; not read
};

struct WorkerInfo {
  std::string worker_id, worker_type = "training", name, endpoint_url;
  std::string status = "available";  // available, busy, temporarily_unavailable
  std::optional<std::string> current_operation_id;
  JsonText capabilities{"{}"};
  std::optional<std::string> last_health_check, last_healthy_at;
  std::int64_t health_check_failures = 0;
  std::int64_t heartbeat_interval_ms = 2000;  // how often this worker should register or heartbeat
};

struct ClaimRequest {
  std::int64_t attempt = 0;
  std::string worker_id, worker_name;
};

struct ClaimAnswer {
  bool success = true;
  std::int64_t version = 0;
  std::optional<CheckpointRef> current_checkpoint;  // commit names it as the parent
  std::int64_t next_sequence = 0;
  std::int64_t heartbeat_interval_ms = 2000;
};

struct HeartbeatRequest {
  std::int64_t attempt = 0;
  std::string worker_id;
  Phase phase = Phase::kTraining;
  Progress progress;
  std::vector<EpochMetrics> epochs;   // finished since the last acknowledged heartbeat
  std::vector<std::string> warnings;  // new ones
  CheckpointCounts checkpoint_counts;
};

// POST /operations/{id}/metrics: the rows of finished epochs, fenced like every write of a worker.
struct AddMetricsRequest {
  std::int64_t attempt = 0;
  std::string worker_id;
  std::vector<EpochMetrics> epochs;
};

struct HeartbeatAnswer {
  bool success = true;
  bool cancel = false;  // stop at the next batch, save a checkpoint of that point, report stopped
  std::int64_t version = 0;
};

struct CommitCheckpointRequest {
  std::int64_t attempt = 0;
  std::string worker_id;
  CheckpointInfo checkpoint;      // its created_at is the server's to say
  std::int64_t taken_ms_ago = 0;  // since its state was copied: writing it takes its time, an outage longer
};

struct CommitCheckpointAnswer {
  bool success = true;
  std::vector<CheckpointRef> dropped;  // rows are gone; the worker deletes the files
  std::int64_t version = 0;
};

// Rule 9: the newest checkpoint is damaged, go on from the one before.
struct RewindRequest {
  std::int64_t attempt = 0;
  std::string worker_id;
  CheckpointRef bad, previous;
  std::string reason;
};

struct CompleteRequest {
  std::int64_t attempt = 0;
  std::string worker_id;
  std::string model_path, model_sha256;
  JsonText result;
  Progress progress;
  std::vector<EpochMetrics> epochs;
};

struct FailRequest {
  std::int64_t attempt = 0;
  std::string worker_id, error_message;
  std::optional<std::int64_t> epoch, batch;  // where it failed, 0-based; absent: not in a batch
};

enum class StopReason { kCancelled, kShutdown };

// The worker stopped on request: after a cancel, or because it was told to end (SIGTERM).
struct StoppedRequest {
  std::int64_t attempt = 0;
  std::string worker_id;
  StopReason reason = StopReason::kCancelled;
  std::optional<std::string> warning;  // e.g. that the last save failed and which older checkpoint is there
  Progress progress;
  std::vector<EpochMetrics> epochs;
};

struct AppliedAnswer {
  bool success = true;
  std::int64_t version = 0;
};

// ---- server to worker ----

struct TrainingStartRequest {
  std::string operation_id;
  std::optional<std::int64_t> attempt;  // absent: whichever is waiting
};

struct TrainingResumeRequest {
  std::string operation_id;
  std::optional<std::int64_t> attempt;
  std::optional<std::string> task_id;  // accepted for the Python project's clients; not read
};

struct TrainingStartedResponse {
  bool success = true;
  std::string operation_id;
  std::string status = "started";
  std::optional<std::int64_t> resumed_from_epoch;
};

// GET / of a worker.
struct WorkerRoot {
  std::string service = "training-worker", version, status = "running", timestamp, worker_id;
};

struct WorkerHealth {
  bool healthy = true;
  std::string service = "training-worker", status = "operational", timestamp;
  std::string worker_status = "idle";  // idle, busy
  std::string worker_id;
  std::optional<std::string> current_operation;
};

}  // namespace ktrdr::api
