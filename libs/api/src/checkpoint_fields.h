// The JSON keys of every type in checkpoint.h, in the order they are written.
#pragma once

#include "codec.h"
#include "enums.h"
#include "ktrdr/api/checkpoint.h"

namespace ktrdr::api::internal {

template <>
struct Fields<CheckpointInfo> {
  static constexpr auto kTable = std::tuple{required("ref", &CheckpointInfo::ref),
                                            field("parent", &CheckpointInfo::parent),
                                            required("checkpoint_type", &CheckpointInfo::checkpoint_type),
                                            field("epoch", &CheckpointInfo::epoch),
                                            required("start_epoch", &CheckpointInfo::start_epoch),
                                            required("start_batch", &CheckpointInfo::start_batch),
                                            field("global_step", &CheckpointInfo::global_step),
                                            field("created_at", &CheckpointInfo::created_at),
                                            field("size_bytes", &CheckpointInfo::size_bytes),
                                            field("manifest_digest", &CheckpointInfo::manifest_digest)};
};

template <>
struct Fields<CheckpointCounts> {
  static constexpr auto kTable = std::tuple{
      field("saved", &CheckpointCounts::saved, "Acknowledged by the server."),
      field("failed", &CheckpointCounts::failed, "Taken, and not saved."),
      field("bytes_saved", &CheckpointCounts::bytes_saved),
      field("pause_seconds", &CheckpointCounts::pause_seconds,
            "Training stood still for it, to copy its state."),
      field("processor_seconds", &CheckpointCounts::processor_seconds, "Of writing in the background.")};
};

template <>
struct Fields<CheckpointState> {
  static constexpr auto kTable = std::tuple{required("ref", &CheckpointState::ref),
                                            field("parent", &CheckpointState::parent),
                                            required("checkpoint_type", &CheckpointState::checkpoint_type),
                                            when_known("epoch", &CheckpointState::epoch),
                                            when_known("total_epochs", &CheckpointState::total_epochs),
                                            required("start_epoch", &CheckpointState::start_epoch),
                                            required("start_batch", &CheckpointState::start_batch),
                                            field("global_step", &CheckpointState::global_step),
                                            when_known("train_loss", &CheckpointState::train_loss),
                                            when_known("train_accuracy", &CheckpointState::train_accuracy),
                                            when_known("val_loss", &CheckpointState::val_loss),
                                            when_known("val_accuracy", &CheckpointState::val_accuracy),
                                            when_known("best_val_loss", &CheckpointState::best_val_loss),
                                            when_known("learning_rate", &CheckpointState::learning_rate),
                                            field("created_at", &CheckpointState::created_at),
                                            field("size_bytes", &CheckpointState::size_bytes),
                                            field("manifest_digest", &CheckpointState::manifest_digest)};
};

template <>
struct Fields<CheckpointData> {
  static constexpr auto kTable = std::tuple{field("operation_id", &CheckpointData::operation_id),
                                            field("checkpoint_type", &CheckpointData::checkpoint_type),
                                            field("created_at", &CheckpointData::created_at),
                                            field("state", &CheckpointData::state),
                                            field("kept", &CheckpointData::kept),
                                            field("artifacts_path", &CheckpointData::artifacts_path)};
};

template <>
struct Fields<CheckpointResponse> {
  static constexpr auto kTable =
      std::tuple{field("success", &CheckpointResponse::success), field("data", &CheckpointResponse::data)};
};

template <>
struct Fields<CheckpointSummary> {
  static constexpr auto kTable =
      std::tuple{field("operation_id", &CheckpointSummary::operation_id),
                 field("checkpoint_type", &CheckpointSummary::checkpoint_type),
                 field("created_at", &CheckpointSummary::created_at),
                 field("state_summary", &CheckpointSummary::state_summary),
                 field("artifacts_size_bytes", &CheckpointSummary::artifacts_size_bytes)};
};

template <>
struct Fields<CheckpointListResponse> {
  static constexpr auto kTable = std::tuple{field("success", &CheckpointListResponse::success),
                                            field("data", &CheckpointListResponse::data),
                                            field("total_count", &CheckpointListResponse::total_count),
                                            field("next_cursor", &CheckpointListResponse::next_cursor)};
};

template <>
struct Fields<CheckpointStatsResponse> {
  static constexpr auto kTable =
      std::tuple{field("success", &CheckpointStatsResponse::success),
                 field("total_checkpoints", &CheckpointStatsResponse::total_checkpoints),
                 field("kept_checkpoints", &CheckpointStatsResponse::kept_checkpoints),
                 field("total_size_bytes", &CheckpointStatsResponse::total_size_bytes),
                 field("oldest_checkpoint", &CheckpointStatsResponse::oldest_checkpoint)};
};

template <>
struct Fields<CheckpointsDeletedResponse> {
  static constexpr auto kTable = std::tuple{field("success", &CheckpointsDeletedResponse::success),
                                            field("message", &CheckpointsDeletedResponse::message),
                                            field("version", &CheckpointsDeletedResponse::version)};
};

template <>
struct Fields<CheckpointCleanupResponse> {
  static constexpr auto kTable =
      std::tuple{field("success", &CheckpointCleanupResponse::success),
                 field("checkpoints_deleted", &CheckpointCleanupResponse::checkpoints_deleted),
                 field("orphan_artifacts_cleaned", &CheckpointCleanupResponse::orphan_artifacts_cleaned)};
};

}  // namespace ktrdr::api::internal
