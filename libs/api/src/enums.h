// The words on the wire for every enum, one table each.
#pragma once

#include <array>
#include <utility>

#include "codec.h"
#include "ktrdr/api/event.h"

namespace ktrdr::api::internal {

template <>
struct EnumNames<OperationStatus> {
  static constexpr std::array kTable = {
      std::pair{OperationStatus::kPending, "pending"}, std::pair{OperationStatus::kRunning, "running"},
      std::pair{OperationStatus::kCompleted, "completed"}, std::pair{OperationStatus::kFailed, "failed"},
      std::pair{OperationStatus::kCancelled, "cancelled"}};
};

template <>
struct EnumNames<Phase> {
  static constexpr std::array kTable = {std::pair{Phase::kNone, "none"},
                                        std::pair{Phase::kQueued, "queued"},
                                        std::pair{Phase::kRestoring, "restoring"},
                                        std::pair{Phase::kPreparing, "preparing"},
                                        std::pair{Phase::kTraining, "training"},
                                        std::pair{Phase::kValidating, "validating"},
                                        std::pair{Phase::kSaving, "saving"},
                                        std::pair{Phase::kEvaluating, "evaluating"},
                                        std::pair{Phase::kCancelling, "cancelling"}};
};

template <>
struct EnumNames<CheckpointType> {
  static constexpr auto kTable = kCheckpointTypeNames;
};

template <>
struct EnumNames<StopReason> {
  static constexpr std::array kTable = {std::pair{StopReason::kCancelled, "cancelled"},
                                        std::pair{StopReason::kShutdown, "shutdown"}};
};

template <>
struct EnumNames<EventKind> {
  static constexpr std::array kTable = {std::pair{EventKind::kCreated, "created"},
                                        std::pair{EventKind::kClaimed, "claimed"},
                                        std::pair{EventKind::kCheckpoint, "checkpoint"},
                                        std::pair{EventKind::kRewound, "rewound"},
                                        std::pair{EventKind::kCancelRequested, "cancel_requested"},
                                        std::pair{EventKind::kCancelled, "cancelled"},
                                        std::pair{EventKind::kFailed, "failed"},
                                        std::pair{EventKind::kLeaseLapsed, "lease_lapsed"},
                                        std::pair{EventKind::kReleased, "released"},
                                        std::pair{EventKind::kResumed, "resumed"},
                                        std::pair{EventKind::kRestarted, "restarted"},
                                        std::pair{EventKind::kCompleted, "completed"},
                                        std::pair{EventKind::kCheckpointsDeleted, "checkpoints_deleted"}};
};

template <class Enum>
constexpr std::string_view name_of(Enum value) {
  for (const auto& [candidate, name] : EnumNames<Enum>::kTable) {
    if (candidate == value) return name;
  }
  return "?";
}

template <class Enum>
constexpr std::optional<Enum> named(std::string_view text) {
  for (const auto& [candidate, name] : EnumNames<Enum>::kTable) {
    if (text == name) return candidate;
  }
  return std::nullopt;
}

}  // namespace ktrdr::api::internal
