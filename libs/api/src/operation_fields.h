// The JSON keys of every type in operation.h, in the order they are written.
#pragma once

#include "checkpoint_fields.h"
#include "codec.h"
#include "enums.h"
#include "ktrdr/api/operation.h"

namespace ktrdr::api::internal {

template <>
struct Fields<EpochMetrics> {
  static constexpr auto kTable = std::tuple{required("epoch", &EpochMetrics::epoch),
                                            field("train_loss", &EpochMetrics::train_loss),
                                            field("train_accuracy", &EpochMetrics::train_accuracy),
                                            field("val_loss", &EpochMetrics::val_loss),
                                            field("val_accuracy", &EpochMetrics::val_accuracy),
                                            field("learning_rate", &EpochMetrics::learning_rate)};
};

template <>
struct Fields<ProgressContext> {
  static constexpr auto kTable = std::tuple{field("epoch", &ProgressContext::epoch),
                                            field("total_epochs", &ProgressContext::total_epochs),
                                            field("batch", &ProgressContext::batch),
                                            field("total_batches", &ProgressContext::total_batches),
                                            field("global_step", &ProgressContext::global_step),
                                            field("train_loss", &ProgressContext::train_loss),
                                            field("train_accuracy", &ProgressContext::train_accuracy),
                                            field("val_loss", &ProgressContext::val_loss),
                                            field("val_accuracy", &ProgressContext::val_accuracy),
                                            field("best_val_loss", &ProgressContext::best_val_loss),
                                            field("learning_rate", &ProgressContext::learning_rate),
                                            field("samples_per_second", &ProgressContext::samples_per_second),
                                            field("eta_seconds", &ProgressContext::eta_seconds)};
};

template <>
struct Fields<Progress> {
  static constexpr auto kTable = std::tuple{field("percentage", &Progress::percentage),
                                            field("current_step", &Progress::current_step),
                                            field("steps_completed", &Progress::steps_completed),
                                            field("steps_total", &Progress::steps_total),
                                            field("items_processed", &Progress::items_processed),
                                            field("items_total", &Progress::items_total),
                                            field("context", &Progress::context)};
};

template <>
struct Fields<OperationMetadata> {
  static constexpr auto kTable = std::tuple{
      field("symbol", &OperationMetadata::symbol),     field("timeframe", &OperationMetadata::timeframe),
      field("mode", &OperationMetadata::mode),         field("start_date", &OperationMetadata::start_date),
      field("end_date", &OperationMetadata::end_date), field("parameters", &OperationMetadata::parameters)};
};

template <>
struct Fields<OperationMetrics> {
  static constexpr auto kTable = std::tuple{field("epochs", &OperationMetrics::epochs)};
};

template <>
struct Fields<Operation> {
  static constexpr auto kTable =
      std::tuple{required("operation_id", &Operation::operation_id),
                 field("parent_operation_id", &Operation::parent_operation_id),
                 field("operation_type", &Operation::operation_type),
                 required("status", &Operation::status),
                 field("phase", &Operation::phase),
                 field("attempt", &Operation::attempt),
                 field("version", &Operation::version),
                 field("created_at", &Operation::created_at),
                 field("started_at", &Operation::started_at),
                 field("completed_at", &Operation::completed_at),
                 field("progress", &Operation::progress),
                 field("metadata", &Operation::metadata),
                 field("error_message", &Operation::error_message),
                 field("warnings", &Operation::warnings),
                 field("errors", &Operation::errors),
                 field("result_summary", &Operation::result_summary),
                 field("metrics", &Operation::metrics),
                 field("is_backend_local", &Operation::is_backend_local),
                 field("cancel_requested", &Operation::cancel_requested),
                 field("worker_id", &Operation::worker_id),
                 field("worker_name", &Operation::worker_name),
                 field("last_heartbeat_at", &Operation::last_heartbeat_at),
                 field("checkpoint", &Operation::checkpoint),
                 when_known("seconds_since_checkpoint", &Operation::seconds_since_checkpoint,
                            "The age of the current checkpoint, while it runs."),
                 when_known("seconds_at_risk", &Operation::seconds_at_risk,
                            "The most training that a crash now would cost."),
                 when_known("checkpoint_counts", &Operation::checkpoint_counts,
                            "Of the running attempt, as its worker said last."),
                 when_known("restarts", &Operation::restarts),
                 when_known("restart_reason", &Operation::restart_reason)};
};

template <>
struct Fields<OperationSummary> {
  static constexpr auto kTable =
      std::tuple{field("operation_id", &OperationSummary::operation_id),
                 field("operation_type", &OperationSummary::operation_type),
                 field("status", &OperationSummary::status),
                 field("phase", &OperationSummary::phase),
                 field("attempt", &OperationSummary::attempt),
                 field("version", &OperationSummary::version),
                 field("created_at", &OperationSummary::created_at),
                 field("progress_percentage", &OperationSummary::progress_percentage),
                 field("current_step", &OperationSummary::current_step),
                 field("symbol", &OperationSummary::symbol),
                 field("checkpoint_summary", &OperationSummary::checkpoint_summary),
                 field("duration_seconds", &OperationSummary::duration_seconds)};
};

template <>
struct Fields<OperationResponse> {
  static constexpr auto kTable =
      std::tuple{field("success", &OperationResponse::success), required("data", &OperationResponse::data)};
};

template <>
struct Fields<OperationListResponse> {
  static constexpr auto kTable = std::tuple{field("success", &OperationListResponse::success),
                                            field("data", &OperationListResponse::data),
                                            field("total_count", &OperationListResponse::total_count),
                                            field("active_count", &OperationListResponse::active_count),
                                            field("next_cursor", &OperationListResponse::next_cursor)};
};

template <>
struct Fields<StatusUpdateRequest> {
  static constexpr auto kTable = std::tuple{required("status", &StatusUpdateRequest::status),
                                            field("error_message", &StatusUpdateRequest::error_message)};
};

template <>
struct Fields<StatusUpdateResponse> {
  static constexpr auto kTable = std::tuple{field("success", &StatusUpdateResponse::success),
                                            field("operation_id", &StatusUpdateResponse::operation_id),
                                            field("previous_status", &StatusUpdateResponse::previous_status),
                                            field("new_status", &StatusUpdateResponse::new_status),
                                            field("version", &StatusUpdateResponse::version)};
};

template <>
struct Fields<CancelRequest> {
  static constexpr auto kTable =
      std::tuple{field("reason", &CancelRequest::reason), field("force", &CancelRequest::force)};
};

template <>
struct Fields<CancelData> {
  static constexpr auto kTable = std::tuple{field("success", &CancelData::success),
                                            field("operation_id", &CancelData::operation_id),
                                            field("status", &CancelData::status),
                                            field("cancelled_at", &CancelData::cancelled_at),
                                            field("cancellation_reason", &CancelData::cancellation_reason),
                                            field("task_cancelled", &CancelData::task_cancelled),
                                            field("remote_cancelled", &CancelData::remote_cancelled),
                                            field("children_cancelled", &CancelData::children_cancelled),
                                            field("version", &CancelData::version)};
};

template <>
struct Fields<CancelResponse> {
  static constexpr auto kTable =
      std::tuple{field("success", &CancelResponse::success), required("data", &CancelResponse::data)};
};

template <>
struct Fields<ResumedFromInfo> {
  static constexpr auto kTable =
      std::tuple{field("checkpoint_type", &ResumedFromInfo::checkpoint_type),
                 field("created_at", &ResumedFromInfo::created_at), field("epoch", &ResumedFromInfo::epoch),
                 field("start_epoch", &ResumedFromInfo::start_epoch),
                 field("start_batch", &ResumedFromInfo::start_batch)};
};

template <>
struct Fields<ResumeOperationData> {
  static constexpr auto kTable =
      std::tuple{field("operation_id", &ResumeOperationData::operation_id),
                 field("status", &ResumeOperationData::status),
                 field("resumed_from", &ResumeOperationData::resumed_from),
                 field("phase", &ResumeOperationData::phase),
                 field("attempt", &ResumeOperationData::attempt),
                 field("version", &ResumeOperationData::version),
                 field("workers_connected", &ResumeOperationData::workers_connected)};
};

template <>
struct Fields<ResumeOperationResponse> {
  static constexpr auto kTable = std::tuple{field("success", &ResumeOperationResponse::success),
                                            required("data", &ResumeOperationResponse::data)};
};

template <>
struct Fields<ResumeOperationRequest> {
  static constexpr auto kTable = std::tuple{field("allow_changes", &ResumeOperationRequest::allow_changes)};
};

template <>
struct Fields<MetricsData> {
  static constexpr auto kTable = std::tuple{field("operation_id", &MetricsData::operation_id),
                                            field("operation_type", &MetricsData::operation_type),
                                            field("metrics", &MetricsData::metrics)};
};

template <>
struct Fields<MetricsResponse> {
  static constexpr auto kTable =
      std::tuple{field("success", &MetricsResponse::success), field("data", &MetricsResponse::data)};
};

template <>
struct Fields<MessageResponse> {
  static constexpr auto kTable =
      std::tuple{field("success", &MessageResponse::success), field("message", &MessageResponse::message)};
};

template <>
struct Fields<ErrorInfo> {
  static constexpr auto kTable =
      std::tuple{field("code", &ErrorInfo::code), field("message", &ErrorInfo::message),
                 field("details", &ErrorInfo::details)};
};

template <>
struct Fields<ErrorBody> {
  static constexpr auto kTable =
      std::tuple{field("success", &ErrorBody::success), field("detail", &ErrorBody::detail),
                 field("error", &ErrorBody::error)};
};

template <>
struct Fields<OrphanDetectorInfo> {
  static constexpr auto kTable =
      std::tuple{field("running", &OrphanDetectorInfo::running),
                 field("potential_orphans_count", &OrphanDetectorInfo::potential_orphans_count),
                 field("last_check", &OrphanDetectorInfo::last_check),
                 field("orphan_timeout_seconds", &OrphanDetectorInfo::orphan_timeout_seconds),
                 field("check_interval_seconds", &OrphanDetectorInfo::check_interval_seconds)};
};

template <>
struct Fields<HealthResponse> {
  static constexpr auto kTable =
      std::tuple{field("status", &HealthResponse::status), field("version", &HealthResponse::version),
                 field("workers_connected", &HealthResponse::workers_connected),
                 field("orphan_detector", &HealthResponse::orphan_detector),
                 when_known("problems", &HealthResponse::problems)};
};

}  // namespace ktrdr::api::internal
