// An operation as every client sees it: one row of the store, one state machine.
//
//   pending --claim--> running --complete--> completed
//      |                 | \--fail, lease lost--> failed ----+
//      |                 \----stopped on request--> cancelled-+--resume--> running (attempt + 1, unclaimed)
//      \--cancel--> cancelled
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/api/checkpoint.h"
#include "ktrdr/api/json.h"

namespace ktrdr::api {

enum class OperationStatus { kPending, kRunning, kCompleted, kFailed, kCancelled };
std::string_view to_string(OperationStatus status);
std::optional<OperationStatus> parse_operation_status(std::string_view text);
bool is_finished(OperationStatus status);   // completed, failed or cancelled
bool is_resumable(OperationStatus status);  // failed or cancelled

// What is happening right now, for people. None when the operation is finished.
enum class Phase {
  kNone,
  kQueued,
  kRestoring,
  kPreparing,
  kTraining,
  kValidating,
  kSaving,
  kEvaluating,
  kCancelling
};
std::string_view to_string(Phase phase);
std::optional<Phase> parse_phase(std::string_view text);

// One row of the training history.
struct EpochMetrics {
  std::int64_t epoch = 0;
  std::optional<double> train_loss, train_accuracy, val_loss, val_accuracy;
  double learning_rate = 0;
  bool operator==(const EpochMetrics&) const = default;
};

struct ProgressContext {
  std::int64_t epoch = 0, total_epochs = 0;  // epoch is the one in progress, 0-based
  std::int64_t batch = 0, total_batches = 0;
  std::int64_t global_step = 0;
  std::optional<double> train_loss, train_accuracy, val_loss, val_accuracy, best_val_loss, learning_rate;
  std::optional<double> samples_per_second, eta_seconds;
  bool operator==(const ProgressContext&) const = default;
};

struct Progress {
  double percentage = 0;  // 0 to 100
  std::string current_step;
  std::int64_t steps_completed = 0, steps_total = 0;  // batches
  std::int64_t items_processed = 0;                   // samples
  std::optional<std::int64_t> items_total;
  ProgressContext context;
  bool operator==(const Progress&) const = default;
};

struct OperationMetadata {
  std::optional<std::string> symbol, timeframe, mode, start_date, end_date;
  JsonText parameters{"{}"};
  bool operator==(const OperationMetadata&) const = default;
};

struct OperationMetrics {
  std::vector<EpochMetrics> epochs;
  bool operator==(const OperationMetrics&) const = default;
};

struct Operation {
  std::string operation_id;
  std::optional<std::string> parent_operation_id;
  std::string operation_type = "training";
  OperationStatus status = OperationStatus::kPending;
  Phase phase = Phase::kNone;
  std::int64_t attempt = 0;  // + 1 with every resume: the fencing number
  std::int64_t version = 0;  // + 1 with every change of state; what If-Match compares
  std::string created_at;
  std::optional<std::string> started_at, completed_at;
  Progress progress;
  OperationMetadata metadata;
  std::optional<std::string> error_message;
  std::vector<std::string> warnings, errors;
  std::optional<JsonText> result_summary;
  std::optional<OperationMetrics> metrics;
  bool is_backend_local = false;
  bool cancel_requested = false;
  std::optional<std::string> worker_id, worker_name, last_heartbeat_at;
  std::optional<CheckpointInfo> checkpoint;  // the current one

  // While it runs, by the server's clock: the age of the current checkpoint, and the most training that a
  // crash at this moment would cost.
  std::optional<double> seconds_since_checkpoint, seconds_at_risk;
  std::optional<CheckpointCounts> checkpoint_counts;  // of the running attempt, as its worker said last
  // Attempts that began without anybody asking, since a client started or resumed it, and why the last did.
  std::optional<std::int64_t> restarts;  // hand-overs of workers that were shut down don't count
  std::optional<std::string> restart_reason;
};

struct OperationSummary {
  std::string operation_id, operation_type = "training";
  OperationStatus status = OperationStatus::kPending;
  Phase phase = Phase::kNone;
  std::int64_t attempt = 0, version = 0;
  std::string created_at;
  double progress_percentage = 0;
  std::optional<std::string> current_step, symbol, checkpoint_summary;
  std::optional<double> duration_seconds;
};

struct OperationResponse {
  bool success = true;
  Operation data;
};

struct OperationListResponse {
  bool success = true;
  std::vector<OperationSummary> data;
  std::int64_t total_count = 0, active_count = 0;
  std::optional<std::string> next_cursor;  // `cursor` of the next page; none on the last one
};

// PATCH /operations/{id}/status. Upper and lower case are the same here, as in the Python project.
struct StatusUpdateRequest {
  std::string status;
  std::optional<std::string> error_message;
};

struct StatusUpdateResponse {
  bool success = true;
  std::string operation_id;
  OperationStatus previous_status = OperationStatus::kPending, new_status = OperationStatus::kPending;
  std::int64_t version = 0;
};

struct CancelRequest {
  std::optional<std::string> reason;
  bool force = false;  // accepted for the Python project's clients; changes nothing
};

struct CancelData {
  bool success = true;
  std::string operation_id;
  OperationStatus status = OperationStatus::kCancelled;
  std::optional<std::string> cancelled_at, cancellation_reason;
  bool task_cancelled = true, remote_cancelled = false;
  std::vector<std::string> children_cancelled;
  std::int64_t version = 0;
};

struct CancelResponse {
  bool success = true;
  CancelData data;
};

// ---- resume: the seed's names ----

struct ResumedFromInfo {
  CheckpointType checkpoint_type = CheckpointType::kPeriodic;
  std::string created_at;
  std::optional<std::int64_t> epoch;
  std::int64_t start_epoch = 0, start_batch = 0;
};

struct ResumeOperationData {
  std::string operation_id;
  OperationStatus status = OperationStatus::kRunning;
  ResumedFromInfo resumed_from;
  Phase phase = Phase::kQueued;
  std::int64_t attempt = 0, version = 0;
  std::int64_t workers_connected = 0;  // 0: it waits until a worker comes
};

struct ResumeOperationResponse {
  bool success = true;
  ResumeOperationData data;
};

// The body of a resume; an empty body means the defaults.
struct ResumeOperationRequest {
  bool allow_changes =
      false;  // go on although strategy, data, engine or dispatch differ: not the same experiment any more
};

struct MetricsData {
  std::string operation_id, operation_type = "training";
  OperationMetrics metrics;
};

struct MetricsResponse {
  bool success = true;
  MetricsData data;
};

struct MessageResponse {
  bool success = true;
  std::string message;
};

struct ErrorInfo {
  std::string code, message;
  JsonText details{"{}"};
};

struct ErrorBody {
  bool success = false;
  std::string detail;
  ErrorInfo error;
};

// What watches for workers that fell silent.
struct OrphanDetectorInfo {
  bool running = true;
  std::int64_t potential_orphans_count = 0;  // operations without a sign of life for half the timeout
  std::optional<std::string> last_check;
  double orphan_timeout_seconds = 0, check_interval_seconds = 0;
};

struct HealthResponse {
  std::string status = "ok", version;
  std::int64_t workers_connected = 0;
  std::optional<OrphanDetectorInfo> orphan_detector;
  std::optional<std::vector<std::string>> problems;  // what a person should look at; absent: nothing
};

}  // namespace ktrdr::api
