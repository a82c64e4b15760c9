// Files that a command leaves behind: each whole or absent, also after a power cut.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ktrdr/core/result.h"

namespace ktrdr::cli {

// `pieces` point into memory that `owner` keeps, or into memory that outlives the command's writing.
struct OutputFile {
  std::string name;
  std::vector<std::span<const std::byte>> pieces;
  std::shared_ptr<const void> owner;
};

OutputFile text_output(std::string name, std::string text);

enum class Existing { kRefuse, kReplace };  // --force

// Writes all files into `folder`, which must exist. All are on the disk under temporary names before the
// first gets its own, so a full disk leaves what was there as it was. With kRefuse one that exists
// is kConflict, before anything is written. `never` are names that would be taken for a part of the same
// thing, but are none: they count as existing, and kReplace removes them.
Result<void> write_outputs(const std::filesystem::path& folder, std::span<const OutputFile> files,
                           std::span<const std::string> never, Existing existing);

}  // namespace ktrdr::cli
