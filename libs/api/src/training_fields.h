// The JSON keys of every type in training.h, in the order they are written.
#pragma once

#include "codec.h"
#include "enums.h"
#include "ktrdr/api/training.h"
#include "operation_fields.h"

namespace ktrdr::api::internal {

template <>
struct Fields<StartTrainingRequest> {
  static constexpr auto kTable = std::tuple{
      field("strategy_name", &StartTrainingRequest::strategy_name,
            "A file of the server's strategies folder; this or strategy_yaml."),
      field("strategy_yaml", &StartTrainingRequest::strategy_yaml, "The strategy itself."),
      field("symbols", &StartTrainingRequest::symbols, "When given, what the strategy says."),
      field("timeframes", &StartTrainingRequest::timeframes),
      field("start_date", &StartTrainingRequest::start_date),
      field("end_date", &StartTrainingRequest::end_date),
      field("task_id", &StartTrainingRequest::task_id, "A client-chosen operation id: ^[a-z0-9_-]{1,64}$."),
      field("data_dir", &StartTrainingRequest::data_dir,
            "The market data folder on the server; absent: the server's own."),
      field("seed", &StartTrainingRequest::seed, "0 to 2^53; absent: drawn once and stored."),
      field("checkpoint_every_epochs", &StartTrainingRequest::checkpoint_every_epochs,
            "A checkpoint after so many epochs, 1 to 1000000; absent: 10."),
      field("checkpoint_every_seconds", &StartTrainingRequest::checkpoint_every_seconds,
            "... or after so many seconds, also inside an epoch, 0.001 to 1e9; absent: 300."),
      field("checkpoint_budget_percent", &StartTrainingRequest::checkpoint_budget_percent,
            "The largest share of the training time that checkpoints may cost, up to 100; absent: 1."),
      field("detailed_analytics", &StartTrainingRequest::detailed_analytics, "Accepted and without effect.")};
};

template <>
struct Fields<StartTrainingResponse> {
  static constexpr auto kTable =
      std::tuple{field("success", &StartTrainingResponse::success),
                 field("task_id", &StartTrainingResponse::task_id),
                 field("status", &StartTrainingResponse::status),
                 field("message", &StartTrainingResponse::message),
                 field("symbols", &StartTrainingResponse::symbols),
                 field("timeframes", &StartTrainingResponse::timeframes),
                 field("strategy_name", &StartTrainingResponse::strategy_name),
                 field("estimated_duration_minutes", &StartTrainingResponse::estimated_duration_minutes),
                 field("seed", &StartTrainingResponse::seed),
                 field("version", &StartTrainingResponse::version),
                 field("workers_connected", &StartTrainingResponse::workers_connected)};
};

template <>
struct Fields<TrainingRequest> {
  static constexpr auto kTable =
      std::tuple{field("strategy_name", &TrainingRequest::strategy_name),
                 required("strategy_yaml", &TrainingRequest::strategy_yaml),
                 required("data_dir", &TrainingRequest::data_dir),
                 required("symbol", &TrainingRequest::symbol),
                 required("timeframe", &TrainingRequest::timeframe),
                 field("start_ms", &TrainingRequest::start_ms),
                 required("end_ms", &TrainingRequest::end_ms),
                 required("seed", &TrainingRequest::seed),
                 field("checkpoint_every_epochs", &TrainingRequest::checkpoint_every_epochs),
                 field("checkpoint_every_seconds", &TrainingRequest::checkpoint_every_seconds),
                 field("checkpoint_budget_percent", &TrainingRequest::checkpoint_budget_percent),
                 required("data_fingerprint", &TrainingRequest::data_fingerprint),
                 field("allow_changes", &TrainingRequest::allow_changes)};
};

template <>
struct Fields<TrainingJob> {
  static constexpr auto kTable = std::tuple{required("operation_id", &TrainingJob::operation_id),
                                            required("attempt", &TrainingJob::attempt),
                                            field("status", &TrainingJob::status),
                                            field("claimed", &TrainingJob::claimed),
                                            field("progress", &TrainingJob::progress),
                                            required("request", &TrainingJob::request),
                                            field("checkpoints", &TrainingJob::checkpoints)};
};

template <>
struct Fields<TrainingMetrics> {
  static constexpr auto kTable =
      std::tuple{field("epochs_trained", &TrainingMetrics::epochs_trained),
                 field("final_loss", &TrainingMetrics::final_loss),
                 field("final_train_loss", &TrainingMetrics::final_train_loss),
                 field("final_train_accuracy", &TrainingMetrics::final_train_accuracy),
                 field("best_train_accuracy", &TrainingMetrics::best_train_accuracy),
                 field("final_val_loss", &TrainingMetrics::final_val_loss),
                 field("final_val_accuracy", &TrainingMetrics::final_val_accuracy),
                 field("best_val_loss", &TrainingMetrics::best_val_loss),
                 field("best_val_accuracy", &TrainingMetrics::best_val_accuracy),
                 field("best_epoch", &TrainingMetrics::best_epoch),
                 field("stopped_early", &TrainingMetrics::stopped_early),
                 field("history", &TrainingMetrics::history)};
};

template <>
struct Fields<ClassReport> {
  static constexpr auto kTable =
      std::tuple{field("name", &ClassReport::name), field("support", &ClassReport::support),
                 field("precision", &ClassReport::precision), field("recall", &ClassReport::recall),
                 field("f1", &ClassReport::f1)};
};

template <>
struct Fields<TestReport> {
  static constexpr auto kTable = std::tuple{field("samples", &TestReport::samples),
                                            field("test_loss", &TestReport::test_loss),
                                            field("test_accuracy", &TestReport::test_accuracy),
                                            field("precision", &TestReport::precision),
                                            field("recall", &TestReport::recall),
                                            field("f1_score", &TestReport::f1_score),
                                            field("classes", &TestReport::classes),
                                            field("confusion", &TestReport::confusion)};
};

template <>
struct Fields<ModelInfo> {
  static constexpr auto kTable =
      std::tuple{field("architecture", &ModelInfo::architecture), field("input_size", &ModelInfo::input_size),
                 field("output_size", &ModelInfo::output_size), field("parameters", &ModelInfo::parameters),
                 field("hidden_layers", &ModelInfo::hidden_layers)};
};

template <>
struct Fields<DataSummary> {
  static constexpr auto kTable = std::tuple{field("symbol", &DataSummary::symbol),
                                            field("timeframe", &DataSummary::timeframe),
                                            field("first_timestamp", &DataSummary::first_timestamp),
                                            field("last_timestamp", &DataSummary::last_timestamp),
                                            field("fingerprint", &DataSummary::fingerprint),
                                            field("rows", &DataSummary::rows),
                                            field("features", &DataSummary::features),
                                            field("train_rows", &DataSummary::train_rows),
                                            field("validation_rows", &DataSummary::validation_rows),
                                            field("test_rows", &DataSummary::test_rows)};
};

template <>
struct Fields<TrainingResult> {
  static constexpr auto kTable = std::tuple{field("model_path", &TrainingResult::model_path),
                                            field("model_sha256", &TrainingResult::model_sha256),
                                            field("seed", &TrainingResult::seed),
                                            field("training_metrics", &TrainingResult::training_metrics),
                                            field("test_metrics", &TrainingResult::test_metrics),
                                            field("model_info", &TrainingResult::model_info),
                                            field("data_summary", &TrainingResult::data_summary)};
};

template <>
struct Fields<NormalizationEntry> {
  static constexpr auto kTable =
      std::tuple{field("feature", &NormalizationEntry::feature), field("method", &NormalizationEntry::method),
                 field("offset", &NormalizationEntry::offset), field("scale", &NormalizationEntry::scale)};
};

template <>
struct Fields<FeaturesFile> {
  static constexpr auto kTable = std::tuple{
      field("model_version", &FeaturesFile::model_version), field("features", &FeaturesFile::features),
      field("feature_count", &FeaturesFile::feature_count),
      field("normalization", &FeaturesFile::normalization), field("classes", &FeaturesFile::classes)};
};

template <>
struct Fields<ModelMetadata> {
  static constexpr auto kTable = std::tuple{field("strategy_name", &ModelMetadata::strategy_name),
                                            field("strategy_version", &ModelMetadata::strategy_version),
                                            field("strategy_sha256", &ModelMetadata::strategy_sha256),
                                            field("symbol", &ModelMetadata::symbol),
                                            field("timeframe", &ModelMetadata::timeframe),
                                            field("model_type", &ModelMetadata::model_type),
                                            field("seed", &ModelMetadata::seed),
                                            field("model_info", &ModelMetadata::model_info),
                                            field("data_summary", &ModelMetadata::data_summary),
                                            field("identity", &ModelMetadata::identity)};
};

template <>
struct Fields<ModelTiming> {
  static constexpr auto kTable =
      std::tuple{field("operation_id", &ModelTiming::operation_id),
                 field("attempt", &ModelTiming::attempt),
                 field("finished_at", &ModelTiming::finished_at),
                 field("training_seconds_this_attempt", &ModelTiming::training_seconds_this_attempt),
                 field("checkpoint_pause_seconds", &ModelTiming::checkpoint_pause_seconds),
                 field("checkpoints_written", &ModelTiming::checkpoints_written)};
};

template <>
struct Fields<PerformanceResponse> {
  static constexpr auto kTable = std::tuple{field("success", &PerformanceResponse::success),
                                            field("task_id", &PerformanceResponse::task_id),
                                            field("status", &PerformanceResponse::status),
                                            field("training_metrics", &PerformanceResponse::training_metrics),
                                            field("test_metrics", &PerformanceResponse::test_metrics),
                                            field("model_info", &PerformanceResponse::model_info)};
};

template <>
struct Fields<ResultsResponse> {
  static constexpr auto kTable = std::tuple{
      field("success", &ResultsResponse::success), field("operation_id", &ResultsResponse::operation_id),
      field("operation_type", &ResultsResponse::operation_type), field("status", &ResultsResponse::status),
      field("results", &ResultsResponse::results)};
};

}  // namespace ktrdr::api::internal
