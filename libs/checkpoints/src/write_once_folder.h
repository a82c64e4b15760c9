// A folder of files that appears whole or not at all and never changes: how checkpoints and models are
// published. The steps are numbered at the top of file_checkpoint_store.cc.
//
// Names in the parent folder: "<name>" is published; "<name>.<8 hex>.tmp" is being written or was abandoned;
// "<name>.<8 hex>.deleted" is being removed or was left by a remover that died.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/checkpoints/file_content.h"
#include "ktrdr/checkpoints/manifest.h"
#include "ktrdr/core/result.h"

namespace ktrdr::checkpoints {

enum class FolderState { kPublished, kUnfinished, kDeleted };

struct FolderName {
  std::string name;
  FolderState state = FolderState::kPublished;
};

// Nothing for names that this library never makes.
std::optional<FolderName> parse_folder_name(std::string_view text);

// Makes the last file of a folder from what the others have become on the disk.
using LastFile = std::function<Result<FileContent>(std::vector<FileEntry> others)>;

// Makes `parent` (a child of a root that exists) and `parent`/`name` with these files, in this order, and the
// last one when there is one to be made. kConflict when it is already there.
Result<void> publish_folder(const std::filesystem::path& parent, const std::string& name,
                            std::span<const FileContent> files, const LastFile& last = nullptr);

// Takes a published or unfinished folder out of sight in one step and then removes it; one that is gone
// already is fine.
Result<void> discard_folder(const std::filesystem::path& parent, const std::string& folder);

// The entries of a folder, in order; empty when there is no such folder. Anything but a real folder is kIo.
Result<std::vector<std::string>> entries_of(const std::filesystem::path& folder);

Result<void> remove_tree(const std::filesystem::path& path);

}  // namespace ktrdr::checkpoints
