#include "write_once_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "ktrdr/core/digest.h"
#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/ids.h"

namespace ktrdr::checkpoints {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kUnfinishedSuffix = ".tmp";
constexpr std::string_view kDeletedSuffix = ".deleted";
constexpr std::size_t kLargestWrite = std::size_t{1} << 20;  // bytes

// Random, so that two writers, or a writer and the remains of a dead one, never meet in one folder.
std::string temporary_name(std::string_view name, std::string_view suffix) {
  return std::string(name) + "." + random_hex(4) + std::string(suffix);
}

Error already_there(const fs::path& folder) {
  return {ErrorCode::kConflict, "There already is a " + folder.string() + ", and it is never overwritten."};
}

Result<bool> is_taken(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT) return false;
  return io_error("examine", path, errno);
}

// The parent's own folder is synced even when `parent` was there: who made it may have died before its fsync.
Result<void> make_parent(const fs::path& parent) {
  if (::mkdir(parent.c_str(), 0755) != 0 && errno != EEXIST)
    return io_error("create the folder", parent, errno);
  return sync_folder(parent.parent_path());
}

// The digest is made of each piece right after it was written, while the processor's cache still holds it.
Result<FileEntry> write_file(NewFile& file, const FileContent& content) {
  Xxh3 digest;
  for (auto left : content.pieces()) {
    while (!left.empty()) {
      const auto piece = left.first(std::min(left.size(), kLargestWrite));
      TRY(file.write(piece));
      digest.update(piece);
      left = left.subspan(piece.size());
    }
  }
  return FileEntry{content.name, content.size(), digest.hex()};
}

// The files of a folder while they are written. They are synced together, at the end: the disk works on the
// first while the last is made, and the journal takes them all with the first fsync.
class FolderInTheMaking {
 public:
  explicit FolderInTheMaking(const fs::path& path) : path_(path) {}

  Result<void> add(const FileContent& content) {
    TRY_ASSIGN(NewFile file, NewFile::create(path_ / content.name));
    TRY_ASSIGN(FileEntry entry, write_file(file, content));
    files_.push_back(std::move(file));
    entries_.push_back(std::move(entry));
    return {};
  }
  const std::vector<FileEntry>& entries() const { return entries_; }

  Result<void> sync() {
    for (NewFile& file : files_) TRY(file.sync());
    return sync_folder(path_);
  }

 private:
  const fs::path& path_;
  std::vector<NewFile> files_;
  std::vector<FileEntry> entries_;
};

Result<void> write_files(const fs::path& folder, std::span<const FileContent> files, const LastFile& last) {
  if (::mkdir(folder.c_str(), 0755) != 0) return io_error("create the folder", folder, errno);
  FolderInTheMaking made(folder);
  for (const FileContent& file : files) TRY(made.add(file));
  if (last) {
    TRY_ASSIGN(const FileContent file, last(made.entries()));
    TRY(made.add(file));
  }
  return made.sync();
}

// rename(2) refuses to replace a folder with something in it, so two writers of one name can't both win.
Result<void> rename_new(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return {};
  if (errno == EEXIST || errno == ENOTEMPTY) return already_there(to);
  return io_error("rename to", to, errno);
}

}  // namespace

std::optional<FolderName> parse_folder_name(std::string_view text) {
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return FolderName{std::string(text), FolderState::kPublished};
  const std::string name(text.substr(0, dot));
  if (text.ends_with(kUnfinishedSuffix)) return FolderName{name, FolderState::kUnfinished};
  if (text.ends_with(kDeletedSuffix)) return FolderName{name, FolderState::kDeleted};
  return std::nullopt;
}

Result<void> publish_folder(const fs::path& parent, const std::string& name,
                            std::span<const FileContent> files, const LastFile& last) {
  TRY(make_parent(parent));  // step 1
  TRY_ASSIGN(const bool taken, is_taken(parent / name));
  if (taken) return already_there(parent / name);
  const fs::path temporary = parent / temporary_name(name, kUnfinishedSuffix);
  Result<void> done = write_files(temporary, files, last);     // steps 2 to 4
  if (done.ok()) done = rename_new(temporary, parent / name);  // step 5
  if (!done.ok()) {
    // Only to give the space back: on a full disk the next try needs it. What stays is a leftover for the
    // sweep.
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    return done;
  }
  done = sync_folder(parent);  // step 6
  // Nobody was told that it is there, so it can go. A failed fsync is never asked again.
  if (!done.ok()) static_cast<void>(discard_folder(parent, name).ok());
  return done;
}

Result<void> discard_folder(const fs::path& parent, const std::string& folder) {
  const std::string_view name = std::string_view(folder).substr(0, folder.find('.'));
  const fs::path deleted = parent / temporary_name(name, kDeletedSuffix);
  if (::rename((parent / folder).c_str(), deleted.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return io_error("remove", parent / folder, errno);
  }
  TRY(sync_folder(parent));  // else a power cut could bring back a folder from which files are gone
  return remove_tree(deleted);
}

Result<std::vector<std::string>> entries_of(const fs::path& folder) {
  std::error_code failed;
  const fs::file_status status = fs::symlink_status(folder, failed);
  if (status.type() == fs::file_type::not_found) return std::vector<std::string>();
  if (status.type() != fs::file_type::directory)
    return io_error("list", folder, failed ? failed.value() : ENOTDIR);
  std::vector<std::string> names;
  fs::directory_iterator entry(folder, failed);
  for (; !failed && entry != fs::directory_iterator(); entry.increment(failed)) {
    names.push_back(entry->path().filename().string());
  }
  if (failed == std::errc::no_such_file_or_directory) return std::vector<std::string>();  // removed meanwhile
  if (failed) return io_error("list", folder, failed.value());
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> remove_tree(const fs::path& path) {
  std::error_code failed;
  fs::remove_all(path, failed);  // unlinks symbolic links, never follows them
  if (failed && failed != std::errc::no_such_file_or_directory)
    return io_error("remove", path, failed.value());
  return {};
}

}  // namespace ktrdr::checkpoints
