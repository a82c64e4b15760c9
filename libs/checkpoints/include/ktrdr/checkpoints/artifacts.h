// The names of a checkpoint's files, and which of them it can't be restored without.
#pragma once

#include <span>
#include <string_view>

#include "ktrdr/checkpoints/manifest.h"
#include "ktrdr/core/result.h"

namespace ktrdr::checkpoints {

inline constexpr std::string_view kModelFile = "model.safetensors";
inline constexpr std::string_view kOptimizerFile = "optimizer.safetensors";
inline constexpr std::string_view kTrainerFile = "trainer.safetensors";  // the trainer's state, as raw bits
inline constexpr std::string_view kSchedulerFile = "scheduler.safetensors";   // optional
inline constexpr std::string_view kBestModelFile = "best_model.safetensors";  // optional
inline constexpr std::string_view kStrategyFile = "strategy.yaml";  // optional: a copy of the strategy
inline constexpr std::string_view kManifestFile = "manifest.json";

// kCheckpointCorrupted, naming the file, when a required one is missing or a known one is empty.
Result<void> validate_artifacts(std::span<const FileEntry> files);

}  // namespace ktrdr::checkpoints
