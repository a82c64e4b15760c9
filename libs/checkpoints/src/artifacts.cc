#include "ktrdr/checkpoints/artifacts.h"

#include <algorithm>

namespace ktrdr::checkpoints {
namespace {

struct Artifact {
  std::string_view name;
  bool required;
};

constexpr Artifact kArtifacts[] = {
    {kModelFile, true},      {kOptimizerFile, true},  {kTrainerFile, true},
    {kSchedulerFile, false}, {kBestModelFile, false},
};

}  // namespace

Result<void> validate_artifacts(std::span<const FileEntry> files) {
  for (const Artifact& artifact : kArtifacts) {
    const auto file =
        std::find_if(files.begin(), files.end(), [&](const FileEntry& f) { return f.name == artifact.name; });
    if (file == files.end() && artifact.required) {
      return Error(ErrorCode::kCheckpointCorrupted,
                   "The checkpoint has no " + std::string(artifact.name) + ".");
    }
    if (file != files.end() && file->size == 0) {
      return Error(ErrorCode::kCheckpointCorrupted,
                   "The checkpoint's " + std::string(artifact.name) + " is empty.");
    }
  }
  return {};
}

}  // namespace ktrdr::checkpoints
