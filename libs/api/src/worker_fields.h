// The JSON keys of every type in worker.h, in the order they are written.
#pragma once

#include "codec.h"
#include "enums.h"
#include "ktrdr/api/worker.h"
#include "operation_fields.h"

namespace ktrdr::api::internal {

template <>
struct Fields<WorkerRegistration> {
  static constexpr auto kTable =
      std::tuple{required("worker_id", &WorkerRegistration::worker_id),
                 field("worker_type", &WorkerRegistration::worker_type),
                 field("name", &WorkerRegistration::name),
                 required("endpoint_url", &WorkerRegistration::endpoint_url),
                 field("capabilities", &WorkerRegistration::capabilities),
                 field("current_operation_id", &WorkerRegistration::current_operation_id),
                 field("completed_operations", &WorkerRegistration::completed_operations)};
};

template <>
struct Fields<WorkerInfo> {
  static constexpr auto kTable =
      std::tuple{field("worker_id", &WorkerInfo::worker_id),
                 field("worker_type", &WorkerInfo::worker_type),
                 field("name", &WorkerInfo::name),
                 field("endpoint_url", &WorkerInfo::endpoint_url),
                 field("status", &WorkerInfo::status),
                 field("current_operation_id", &WorkerInfo::current_operation_id),
                 field("capabilities", &WorkerInfo::capabilities),
                 field("last_health_check", &WorkerInfo::last_health_check),
                 field("last_healthy_at", &WorkerInfo::last_healthy_at),
                 field("health_check_failures", &WorkerInfo::health_check_failures),
                 field("heartbeat_interval_ms", &WorkerInfo::heartbeat_interval_ms)};
};

template <>
struct Fields<ClaimRequest> {
  static constexpr auto kTable =
      std::tuple{required("attempt", &ClaimRequest::attempt), required("worker_id", &ClaimRequest::worker_id),
                 field("worker_name", &ClaimRequest::worker_name)};
};

template <>
struct Fields<ClaimAnswer> {
  static constexpr auto kTable =
      std::tuple{field("success", &ClaimAnswer::success), field("version", &ClaimAnswer::version),
                 field("current_checkpoint", &ClaimAnswer::current_checkpoint),
                 field("next_sequence", &ClaimAnswer::next_sequence),
                 field("heartbeat_interval_ms", &ClaimAnswer::heartbeat_interval_ms)};
};

template <>
struct Fields<HeartbeatRequest> {
  static constexpr auto kTable = std::tuple{required("attempt", &HeartbeatRequest::attempt),
                                            required("worker_id", &HeartbeatRequest::worker_id),
                                            field("phase", &HeartbeatRequest::phase),
                                            field("progress", &HeartbeatRequest::progress),
                                            field("epochs", &HeartbeatRequest::epochs),
                                            field("warnings", &HeartbeatRequest::warnings),
                                            field("checkpoint_counts", &HeartbeatRequest::checkpoint_counts)};
};

template <>
struct Fields<AddMetricsRequest> {
  static constexpr auto kTable = std::tuple{required("attempt", &AddMetricsRequest::attempt),
                                            required("worker_id", &AddMetricsRequest::worker_id),
                                            required("epochs", &AddMetricsRequest::epochs)};
};

template <>
struct Fields<HeartbeatAnswer> {
  static constexpr auto kTable =
      std::tuple{field("success", &HeartbeatAnswer::success), field("cancel", &HeartbeatAnswer::cancel),
                 field("version", &HeartbeatAnswer::version)};
};

template <>
struct Fields<CommitCheckpointRequest> {
  static constexpr auto kTable =
      std::tuple{required("attempt", &CommitCheckpointRequest::attempt),
                 required("worker_id", &CommitCheckpointRequest::worker_id),
                 required("checkpoint", &CommitCheckpointRequest::checkpoint),
                 field("taken_ms_ago", &CommitCheckpointRequest::taken_ms_ago,
                       "Since its state was copied: writing it takes its time, an outage longer.")};
};

template <>
struct Fields<CommitCheckpointAnswer> {
  static constexpr auto kTable = std::tuple{field("success", &CommitCheckpointAnswer::success),
                                            field("dropped", &CommitCheckpointAnswer::dropped),
                                            field("version", &CommitCheckpointAnswer::version)};
};

template <>
struct Fields<RewindRequest> {
  static constexpr auto kTable =
      std::tuple{required("attempt", &RewindRequest::attempt),
                 required("worker_id", &RewindRequest::worker_id), required("bad", &RewindRequest::bad),
                 required("previous", &RewindRequest::previous), field("reason", &RewindRequest::reason)};
};

template <>
struct Fields<CompleteRequest> {
  static constexpr auto kTable = std::tuple{required("attempt", &CompleteRequest::attempt),
                                            required("worker_id", &CompleteRequest::worker_id),
                                            required("model_path", &CompleteRequest::model_path),
                                            required("model_sha256", &CompleteRequest::model_sha256),
                                            required("result", &CompleteRequest::result),
                                            field("progress", &CompleteRequest::progress),
                                            field("epochs", &CompleteRequest::epochs)};
};

template <>
struct Fields<FailRequest> {
  static constexpr auto kTable =
      std::tuple{required("attempt", &FailRequest::attempt), required("worker_id", &FailRequest::worker_id),
                 required("error_message", &FailRequest::error_message),
                 when_known("epoch", &FailRequest::epoch), when_known("batch", &FailRequest::batch)};
};

template <>
struct Fields<StoppedRequest> {
  static constexpr auto kTable = std::tuple{
      required("attempt", &StoppedRequest::attempt), required("worker_id", &StoppedRequest::worker_id),
      required("reason", &StoppedRequest::reason),   field("warning", &StoppedRequest::warning),
      field("progress", &StoppedRequest::progress),  field("epochs", &StoppedRequest::epochs)};
};

template <>
struct Fields<AppliedAnswer> {
  static constexpr auto kTable =
      std::tuple{field("success", &AppliedAnswer::success), field("version", &AppliedAnswer::version)};
};

template <>
struct Fields<TrainingStartRequest> {
  static constexpr auto kTable = std::tuple{required("operation_id", &TrainingStartRequest::operation_id),
                                            field("attempt", &TrainingStartRequest::attempt)};
};

template <>
struct Fields<TrainingResumeRequest> {
  static constexpr auto kTable = std::tuple{required("operation_id", &TrainingResumeRequest::operation_id),
                                            field("attempt", &TrainingResumeRequest::attempt),
                                            field("task_id", &TrainingResumeRequest::task_id)};
};

template <>
struct Fields<TrainingStartedResponse> {
  static constexpr auto kTable =
      std::tuple{field("success", &TrainingStartedResponse::success),
                 field("operation_id", &TrainingStartedResponse::operation_id),
                 field("status", &TrainingStartedResponse::status),
                 field("resumed_from_epoch", &TrainingStartedResponse::resumed_from_epoch)};
};

template <>
struct Fields<WorkerRoot> {
  static constexpr auto kTable =
      std::tuple{field("service", &WorkerRoot::service), field("version", &WorkerRoot::version),
                 field("status", &WorkerRoot::status), field("timestamp", &WorkerRoot::timestamp),
                 field("worker_id", &WorkerRoot::worker_id)};
};

template <>
struct Fields<WorkerHealth> {
  static constexpr auto kTable = std::tuple{field("healthy", &WorkerHealth::healthy),
                                            field("service", &WorkerHealth::service),
                                            field("status", &WorkerHealth::status),
                                            field("timestamp", &WorkerHealth::timestamp),
                                            field("worker_status", &WorkerHealth::worker_status),
                                            field("worker_id", &WorkerHealth::worker_id),
                                            field("current_operation", &WorkerHealth::current_operation)};
};

}  // namespace ktrdr::api::internal
