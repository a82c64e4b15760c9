#include "output_files.h"

#include <cerrno>

#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/ids.h"

namespace ktrdr::cli {
namespace fs = std::filesystem;
namespace {

// Files under temporary names; those that were not renamed go with this object.
class TemporaryFiles {
 public:
  ~TemporaryFiles() {
    std::error_code ignored;
    for (const auto& [temporary, file] : files_) fs::remove(temporary, ignored);
  }

  Result<void> write(const fs::path& file, std::span<const std::span<const std::byte>> pieces) {
    const fs::path temporary = file.string() + "." + random_hex(4) + ".tmp";
    files_.emplace_back(temporary, file);
    return write_new_file_synced(temporary, pieces);
  }

  Result<void> rename_all() {
    for (const auto& [temporary, file] : files_) TRY(rename_durably(temporary, file));
    files_.clear();
    return {};
  }

 private:
  std::vector<std::pair<fs::path, fs::path>> files_;  // the temporary one, and what it becomes
};

Result<void> refuse_existing(const fs::path& file) {
  std::error_code failed;
  const fs::file_type type = fs::symlink_status(file, failed).type();
  if (type == fs::file_type::not_found) return {};
  if (type == fs::file_type::none) return io_error("examine", file, failed.value());
  return Error(ErrorCode::kConflict, file.string() + " already exists; add --force to replace it.");
}

Result<void> remove_file(const fs::path& file) {
  std::error_code failed;
  if (fs::remove(file, failed)) return sync_folder(file.parent_path());
  if (failed) return io_error("remove", file, failed.value());
  return {};
}

}  // namespace

OutputFile text_output(std::string name, std::string text) {
  const auto owner = std::make_shared<const std::string>(std::move(text));
  return {std::move(name), {std::as_bytes(std::span(*owner))}, owner};
}

Result<void> write_outputs(const fs::path& folder, std::span<const OutputFile> files,
                           std::span<const std::string> never, Existing existing) {
  if (existing == Existing::kRefuse) {
    for (const OutputFile& file : files) TRY(refuse_existing(folder / file.name));
    for (const std::string& name : never) TRY(refuse_existing(folder / name));
  }
  TemporaryFiles temporary;
  for (const OutputFile& file : files) TRY(temporary.write(folder / file.name, file.pieces));
  for (const std::string& name : never) TRY(remove_file(folder / name));
  return temporary.rename_all();
}

}  // namespace ktrdr::cli
