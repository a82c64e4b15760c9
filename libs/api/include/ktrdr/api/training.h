// Starting a training, and what the store keeps of it: everything a worker needs to do exactly the same run
// again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/api/checkpoint.h"
#include "ktrdr/api/operation.h"

namespace ktrdr::api {

// POST /trainings/start. Either strategy_name (a file in the server's strategies folder) or strategy_yaml
// (its text).
struct StartTrainingRequest {
  std::optional<std::string> strategy_name, strategy_yaml;
  std::optional<std::vector<std::string>> symbols,
      timeframes;  // when given, they must be what the strategy says
  std::optional<std::string> start_date, end_date;
  std::optional<std::string> task_id;   // a client-chosen operation id
  std::optional<std::string> data_dir;  // the market data folder; absent: the server's
  std::optional<std::int64_t> seed;     // 0 to 2^53; absent: drawn once and stored
  // When checkpoints are taken; none of it changes a bit of the model. Absent: 10, 300 and 1.
  std::optional<std::int64_t> checkpoint_every_epochs;  // 1 to 1'000'000
  std::optional<double> checkpoint_every_seconds;   // 0.001 to 1e9; the state is also saved inside an epoch
  std::optional<double> checkpoint_budget_percent;  // more than 0, at most 100
  bool detailed_analytics = false;  // accepted for the Python project's clients; changes nothing
};

struct StartTrainingResponse {
  bool success = true;
  std::string task_id;
  std::string status = "training_started";
  std::string message;
  std::vector<std::string> symbols, timeframes;
  std::string strategy_name;
  std::optional<double> estimated_duration_minutes;
  std::int64_t seed = 0, version = 0;
  std::int64_t workers_connected = 0;  // 0: it waits until a worker comes
};

// The row's copy of the request, with everything pinned that could move.
struct TrainingRequest {
  std::string strategy_name, strategy_yaml;
  std::string data_dir, symbol, timeframe;
  std::optional<std::int64_t> start_ms;
  std::int64_t end_ms = 0;  // pinned at the start, so that rows appended later don't matter
  std::int64_t seed = 0;
  std::int64_t checkpoint_every_epochs = 10;
  double checkpoint_every_seconds = 300;
  double checkpoint_budget_percent = 1;
  std::string data_fingerprint;  // of the rows, features, labels and class weights the run was started with
  bool allow_changes = false;    // set by a resume that was told to go on in spite of a difference
  bool operator==(const TrainingRequest&) const = default;
};

// What a worker reads before it claims: GET /operations/{id}/job.
struct TrainingJob {
  std::string operation_id;
  std::int64_t attempt = 0;
  OperationStatus status = OperationStatus::kPending;
  bool claimed = false;
  Progress progress;  // how far the run had come, for people
  TrainingRequest request;
  std::vector<CheckpointInfo> checkpoints;  // newest first, at most two
};

// ---- what a finished training says ----

struct TrainingMetrics {
  std::int64_t epochs_trained = 0;
  std::optional<double> final_loss;  // final_train_loss, by the name that the Python project's clients read
  std::optional<double> final_train_loss, final_train_accuracy, best_train_accuracy;
  std::optional<double> final_val_loss, final_val_accuracy, best_val_loss, best_val_accuracy;
  std::int64_t best_epoch = -1;
  bool stopped_early = false;
  std::vector<EpochMetrics> history;
  bool operator==(const TrainingMetrics&) const = default;
};

struct ClassReport {
  std::string name;
  std::int64_t support = 0;
  double precision = 0, recall = 0, f1 = 0;
  bool operator==(const ClassReport&) const = default;
};

struct TestReport {
  std::int64_t samples = 0;
  double test_loss = 0, test_accuracy = 0;         // loss: cross entropy without class weights
  double precision = 0, recall = 0, f1_score = 0;  // weighted by support
  std::vector<ClassReport> classes;
  std::vector<std::vector<std::int64_t>> confusion;  // [truth][prediction]
  bool operator==(const TestReport&) const = default;
};

struct ModelInfo {
  std::string architecture;
  std::int64_t input_size = 0, output_size = 0, parameters = 0;
  std::vector<std::int64_t> hidden_layers;
  bool operator==(const ModelInfo&) const = default;
};

struct DataSummary {
  std::string symbol, timeframe, first_timestamp, last_timestamp, fingerprint;
  std::int64_t rows = 0, features = 0, train_rows = 0, validation_rows = 0, test_rows = 0;
  bool operator==(const DataSummary&) const = default;
};

// The operation's result_summary.
struct TrainingResult {
  std::string model_path, model_sha256;
  std::int64_t seed = 0;
  TrainingMetrics training_metrics;
  TestReport test_metrics;
  ModelInfo model_info;
  DataSummary data_summary;
};

struct NormalizationEntry {
  std::string feature, method;
  double offset = 0, scale = 1;
};

// features.json of a finished model: what to compute, in which order, to ask the model.
struct FeaturesFile {
  std::string model_version = "ktrdr_v1";
  std::vector<std::string> features;
  std::int64_t feature_count = 0;
  std::vector<NormalizationEntry> normalization;
  std::vector<std::string> classes;
};

// metadata.json: what was trained on what by which software. No id, attempt or time: it is equal for equal
// runs.
struct ModelMetadata {
  std::string strategy_name, strategy_version, strategy_sha256, symbol, timeframe, model_type;
  std::int64_t seed = 0;
  ModelInfo model_info;
  DataSummary data_summary;
  JsonText identity{"{}"};  // engine, threads, BLAS, CPU dispatch
};

// timing.json: the only file that may differ between two equal runs.
struct ModelTiming {
  std::string operation_id;
  std::int64_t attempt = 0;
  std::string finished_at;
  double training_seconds_this_attempt = 0;
  double checkpoint_pause_seconds = 0;
  std::int64_t checkpoints_written = 0;
};

struct PerformanceResponse {
  bool success = true;
  std::string task_id;
  OperationStatus status = OperationStatus::kCompleted;
  TrainingMetrics training_metrics;
  TestReport test_metrics;
  ModelInfo model_info;
};

struct ResultsResponse {
  bool success = true;
  std::string operation_id, operation_type = "training";
  OperationStatus status = OperationStatus::kCompleted;
  JsonText results{"{}"};
};

}  // namespace ktrdr::api
