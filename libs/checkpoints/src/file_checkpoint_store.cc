// How a checkpoint is written so that a crash or a power cut between any two steps leaves it whole or absent:
//
//   1. mkdir <root>/<operation>, fsync <root>           (once per operation; the fsync always, see
//   make_parent)
//   2. mkdir <operation>/<attempt>-<sequence>.<random>.tmp
//   3. for every file, manifest.json last: create (O_EXCL, O_NOFOLLOW), write; its digest is made from the
//   same
//      pieces as they are written, and the disk begins meanwhile (NewFile)
//   4. fsync every file, then the .tmp folder           the files and their names are durable
//   5. rename it to <attempt>-<sequence>                visible, whole; refused when there is one already
//   6. fsync <root>/<operation>                         durable: only now does put() say so
//
// Any failure before 5 abandons the .tmp; a failed fsync is final and never asked again. The caller commits
// the row after 6, and only the row makes the object count.
//
// How one is removed: rename to <attempt>-<sequence>.<random>.deleted, fsync the folder, unlink. The rename
// is the moment at which it is gone; whatever is left after a crash is called .deleted and goes with the next
// sweep.
#include "ktrdr/checkpoints/file_checkpoint_store.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "ktrdr/core/durable_file.h"
#include "mapped_file.h"
#include "write_once_folder.h"

namespace ktrdr::checkpoints {
namespace fs = std::filesystem;
namespace {

// An OperationId may have been built without parse(); none reaches a path unchecked.
Result<fs::path> folder_of(const fs::path& root, const OperationId& operation) {
  TRY_ASSIGN(const OperationId checked, OperationId::parse(operation.value));
  return root / checked.value;
}

Error no_checkpoint(const OperationId& operation, CheckpointRef ref) {
  return {ErrorCode::kCheckpointNotFound,
          "Operation " + operation.value + " has no checkpoint " + ref.to_string() + "."};
}

// What the files will be listed as, but for their digests, which are made while they are written.
std::vector<FileEntry> undigested(const std::vector<FileContent>& files) {
  std::vector<FileEntry> entries;
  for (const FileContent& file : files) entries.push_back({file.name, file.size(), std::string(32, '0')});
  return entries;
}

Result<FileDescriptor> open_folder(int parent, const std::string& name, const fs::path& path) {
  int fd = -1;
  do {
    fd = ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd >= 0) return FileDescriptor(fd);
  if (errno == ENOENT) return Error(ErrorCode::kCheckpointNotFound, "There is no " + path.string() + ".");
  if (errno == ENOTDIR || errno == ELOOP) {
    return Error(ErrorCode::kCheckpointCorrupted, path.string() + " is not a folder.");
  }
  return io_error("open", path, errno);
}

class FilesInFolder final : public CheckpointFiles {
 public:
  FilesInFolder(FileDescriptor folder, fs::path path) : folder_(std::move(folder)), path_(std::move(path)) {}
  Result<FileBytes> read(std::string_view name, std::uint64_t at_most) const override {
    return map_file(folder_, name, at_most, path_);
  }

 private:
  FileDescriptor folder_;
  fs::path path_;
};

struct Entry {
  std::string folder;
  CheckpointRef ref;
  FolderState state;
};

// What this store has put into an operation's folder; names of other making are left out.
Result<std::vector<Entry>> checkpoint_entries(const fs::path& operation_folder) {
  TRY_ASSIGN(const std::vector<std::string> names, entries_of(operation_folder));
  std::vector<Entry> entries;
  for (const std::string& folder : names) {
    const auto name = parse_folder_name(folder);
    const auto ref = name ? CheckpointRef::parse(name->name) : std::nullopt;
    if (ref) entries.push_back({folder, *ref, name->state});
  }
  return entries;
}

}  // namespace

Result<FileCheckpointStore> FileCheckpointStore::open(fs::path root) {
  if (root.empty()) return Error(ErrorCode::kInvalidArgument, "The folder for checkpoints has no name.");
  TRY(create_folders_durably(root));
  return FileCheckpointStore(std::move(root));
}

Result<StoredCheckpoint> FileCheckpointStore::put(const CheckpointContent& content) {
  const CheckpointRef ref = content.description.ref;
  StoredCheckpoint stored{.ref = ref};
  const LastFile manifest = [&](std::vector<FileEntry> files) -> Result<FileContent> {
    for (const FileEntry& file : files) stored.total_bytes += file.size;
    TRY_ASSIGN(const Manifest described, describe(content.description, std::move(files)));
    TRY_ASSIGN(const ManifestText text, write_manifest(described));
    stored.total_bytes += text.text.size();
    stored.manifest_digest = text.digest;
    return text_file(std::string(kManifestFile), text.text);
  };
  TRY(manifest(undigested(content.files)));  // what is wrong is refused before anything is written
  stored = {.ref = ref};
  TRY_ASSIGN(const fs::path folder, folder_of(root_, content.description.operation));
  auto published = publish_folder(folder, ref.to_string(), content.files, manifest);
  if (published.ok()) return stored;
  return std::move(published).error().while_doing("saving checkpoint " + ref.to_string());
}

Result<VerifiedCheckpoint> FileCheckpointStore::load(const OperationId& operation, CheckpointRef ref) const {
  TRY_ASSIGN(const fs::path folder, folder_of(root_, operation));
  const fs::path path = folder / ref.to_string();
  auto parent = open_folder(AT_FDCWD, folder.string(), folder);
  auto opened = parent.ok() ? open_folder(parent->get(), ref.to_string(), path) : std::move(parent);
  if (!opened.ok() && opened.error().code == ErrorCode::kCheckpointNotFound)
    return no_checkpoint(operation, ref);
  if (!opened.ok()) return std::move(opened).error();
  auto verified = VerifiedCheckpoint::verify(operation, ref, FilesInFolder(*std::move(opened), path));
  if (verified.ok()) return verified;
  return std::move(verified).error().while_doing("verifying checkpoint " + ref.to_string() + " of " +
                                                 operation.value);
}

Result<std::vector<CheckpointRef>> FileCheckpointStore::list(const OperationId& operation) const {
  TRY_ASSIGN(const fs::path folder, folder_of(root_, operation));
  TRY_ASSIGN(const std::vector<Entry> entries, checkpoint_entries(folder));
  std::vector<CheckpointRef> refs;
  for (const Entry& entry : entries) {
    if (entry.state == FolderState::kPublished) refs.push_back(entry.ref);
  }
  std::sort(refs.begin(), refs.end());
  return refs;
}

Result<std::vector<OperationId>> FileCheckpointStore::operations() const {
  TRY_ASSIGN(const std::vector<std::string> names, entries_of(root_));
  std::vector<OperationId> operations;
  for (const std::string& name : names) {
    std::error_code ignored;
    if (is_valid_id(name) && fs::symlink_status(root_ / name, ignored).type() == fs::file_type::directory) {
      operations.push_back({name});
    }
  }
  return operations;
}

std::optional<std::uint64_t> FileCheckpointStore::free_bytes() const {
  std::error_code failed;
  const fs::space_info space = fs::space(root_, failed);
  return failed ? std::nullopt : std::optional<std::uint64_t>(space.available);
}

Result<void> FileCheckpointStore::remove(const OperationId& operation, CheckpointRef ref) {
  TRY_ASSIGN(const fs::path folder, folder_of(root_, operation));
  TRY(discard_folder(folder, ref.to_string()));
  TRY_ASSIGN(const std::vector<Entry> entries, checkpoint_entries(folder));
  for (const Entry& entry : entries) {  // what an earlier, interrupted removal left
    if (entry.ref == ref && entry.state == FolderState::kDeleted) TRY(remove_tree(folder / entry.folder));
  }
  return {};
}

Result<void> FileCheckpointStore::remove_operation(const OperationId& operation) {
  TRY_ASSIGN(const fs::path folder, folder_of(root_, operation));
  TRY_ASSIGN(const std::vector<Entry> entries, checkpoint_entries(folder));
  for (const Entry& entry :
       entries) {  // each goes whole, so that the operation is listed until nothing is left
    if (entry.state != FolderState::kDeleted) TRY(discard_folder(folder, entry.folder));
  }
  TRY(remove_tree(folder));
  return sync_folder(root_);
}

Result<std::size_t> FileCheckpointStore::remove_leftovers(
    const OperationId& operation, const std::function<bool(CheckpointRef)>& may_be_in_use) {
  TRY_ASSIGN(const fs::path folder, folder_of(root_, operation));
  TRY_ASSIGN(const std::vector<Entry> entries, checkpoint_entries(folder));
  std::size_t removed = 0;
  for (const Entry& entry : entries) {
    if (entry.state == FolderState::kPublished) continue;
    if (entry.state == FolderState::kUnfinished && may_be_in_use(entry.ref)) continue;
    // An unfinished folder is renamed first: its writer, if it still lives, then fails instead of publishing
    // a part.
    const bool is_deleted = entry.state == FolderState::kDeleted;
    TRY(is_deleted ? remove_tree(folder / entry.folder) : discard_folder(folder, entry.folder));
    ++removed;
  }
  return removed;
}

}  // namespace ktrdr::checkpoints
