// A file in memory without a copy.
#pragma once

#include <filesystem>
#include <string_view>

#include "ktrdr/checkpoints/verified_checkpoint.h"
#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/result.h"

namespace ktrdr::checkpoints {

// Maps the regular file `name` of an open folder, read-only and with every page read, so that a bad sector is
// an error here and not a signal later. A symbolic link is never followed. Errors as CheckpointFiles::read();
// `folder` is named in messages.
Result<FileBytes> map_file(const FileDescriptor& folder, std::string_view name, std::uint64_t at_most,
                           const std::filesystem::path& folder_path);

}  // namespace ktrdr::checkpoints
