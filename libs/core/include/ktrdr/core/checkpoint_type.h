// Why a checkpoint was taken: the same word in manifests, rows and on the wire.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace ktrdr {

enum class CheckpointType {
  kInitial,       // before the first batch, so that every claimed operation can be resumed
  kPeriodic,      // by the policy
  kCancellation,  // exactly where a cancel stopped the run
  kFailure,
  kShutdown,  // exactly where SIGTERM stopped the run
};

inline constexpr std::array kCheckpointTypeNames = {
    std::pair{CheckpointType::kInitial, "initial"}, std::pair{CheckpointType::kPeriodic, "periodic"},
    std::pair{CheckpointType::kCancellation, "cancellation"}, std::pair{CheckpointType::kFailure, "failure"},
    std::pair{CheckpointType::kShutdown, "shutdown"}};

std::string_view to_string(CheckpointType type);
std::optional<CheckpointType> parse_checkpoint_type(std::string_view text);

}  // namespace ktrdr
