// How a checkpoint is written so that a crash, an outage or a sweep between any two steps leaves it whole or
// absent:
//
//   1. refuse when there is a manifest                  (or when this process is writing the same reference)
//   2. create every file, each only where there is none
//   3. create manifest.json                             visible: readers and listings look for it
//   4. list the folder: every file is there, and nobody has marked it as removed; else delete the manifest
//   again
//
// Any failure before 3 leaves files without a manifest, which is no checkpoint. The caller commits the row
// after 4, and only the row makes the object count. S3 answers a PUT when the object is durable, so there is
// nothing to sync.
//
// How one is removed, or files without a manifest are swept:
//
//   a. create .deleted.<random>                         the mark: what is missing from now on is no damage
//   b. a sweep only: list again; is there a manifest now, take the mark away and leave it alone
//   c. delete manifest.json, then the files, then every mark
//
// A writer looks for marks after it made its manifest (3, 4), a sweep looks for the manifest after it made
// its mark (a, b), so one of the two always sees the other: never is a checkpoint visible from which a sweep
// takes files. Marks have names of their own, so that two sweeps can't take away each other's.
#include "ktrdr/checkpoints/s3_checkpoint_store.h"

#include <algorithm>
#include <map>
#include <optional>

#include "file_memory.h"
#include "ktrdr/checkpoints/artifacts.h"

namespace ktrdr::checkpoints {
namespace {

constexpr std::uint64_t kLarge = std::uint64_t{1} << 20;  // bytes; less is not worth a file
constexpr std::string_view kMark = ".deleted.";           // no file's name starts with a dot

Error already_there(CheckpointRef ref) {
  return {ErrorCode::kConflict, "There already is a checkpoint " + ref.to_string() +
                                    ", or a part of one, and it is never overwritten."};
}

Error no_checkpoint(const OperationId& operation, CheckpointRef ref) {
  return {ErrorCode::kCheckpointNotFound,
          "Operation " + operation.value + " has no checkpoint " + ref.to_string() + "."};
}

// A reference that this process is writing, for as long as this lives.
class WritingClaim {
 public:
  static std::optional<WritingClaim> take(Synchronized<std::set<std::string>>& taken,
                                          const std::string& folder) {
    if (!taken.lock()->insert(folder).second) return std::nullopt;
    return WritingClaim(taken, folder);
  }
  ~WritingClaim() {
    if (taken_ != nullptr) taken_->lock()->erase(folder_);
  }
  WritingClaim(WritingClaim&& other) noexcept
      : taken_(std::exchange(other.taken_, nullptr)), folder_(std::move(other.folder_)) {}
  WritingClaim& operator=(WritingClaim&&) = delete;

 private:
  WritingClaim(Synchronized<std::set<std::string>>& taken, std::string folder)
      : taken_(&taken), folder_(std::move(folder)) {}
  Synchronized<std::set<std::string>>* taken_;
  std::string folder_;
};

class FilesInBucket final : public CheckpointFiles {
 public:
  FilesInBucket(const s3::S3Bucket& bucket, std::string folder)
      : bucket_(bucket), folder_(std::move(folder)) {}

  Result<FileBytes> read(std::string_view name, std::uint64_t at_most) const override {
    const auto memory = at_most < kLarge ? std::nullopt : make_file_memory(at_most);
    auto bytes = memory ? read_into(*memory, name) : read_whole(name, at_most);
    if (!bytes.ok()) return damage_or(std::move(bytes).error(), name);
    return bytes;
  }

 private:
  Result<FileBytes> read_whole(std::string_view name, std::uint64_t at_most) const {
    TRY_ASSIGN(std::string bytes, bucket_.get(folder_ + std::string(name), at_most));
    auto owner = std::make_shared<const std::string>(std::move(bytes));
    const auto view = std::as_bytes(std::span(*owner));
    return FileBytes{std::move(owner), view};
  }

  Result<FileBytes> read_into(const FileMemory& memory, std::string_view name) const {
    TRY_ASSIGN(const std::uint64_t size, bucket_.get_into(folder_ + std::string(name), memory.bytes));
    return FileBytes{memory.owner, memory.bytes.first(size)};
  }

  static Error damage_or(Error error, std::string_view name) {
    const bool is_missing = error.code == ErrorCode::kNotFound;
    if (!is_missing && error.code != ErrorCode::kTooLarge) return error;
    return {ErrorCode::kCheckpointCorrupted,
            std::string(name) + " is damaged: it " + (is_missing ? "is missing." : "is longer than it was.")};
  }

  const s3::S3Bucket& bucket_;
  const std::string folder_;
};

// The objects of one reference.
struct Folder {
  std::map<std::string, std::uint64_t> sizes;  // by name
  bool has_manifest() const { return sizes.contains(std::string(kManifestFile)); }
  bool has_mark() const {
    return std::ranges::any_of(sizes, [](const auto& entry) { return entry.first.starts_with(kMark); });
  }
};

Result<Folder> list_folder(const s3::S3Bucket& bucket, const std::string& folder) {
  TRY_ASSIGN(const auto objects, bucket.list(folder));
  Folder found;
  for (const auto& object : objects) found.sizes[object.key.substr(folder.size())] = object.size;
  return found;
}

// "1-2/model.safetensors" after the operation's folder; nothing for objects of other making.
std::optional<CheckpointRef> ref_in(const std::string& key, const std::string& operation_folder) {
  const std::size_t slash = key.find('/', operation_folder.size());
  if (slash == std::string::npos) return std::nullopt;
  return CheckpointRef::parse(
      std::string_view(key).substr(operation_folder.size(), slash - operation_folder.size()));
}

std::string folder_in(const std::string& operation_folder, CheckpointRef ref) {
  return operation_folder + ref.to_string() + "/";
}

Result<std::map<CheckpointRef, Folder>> list_operation(const s3::S3Bucket& bucket,
                                                       const std::string& folder) {
  TRY_ASSIGN(const auto objects, bucket.list(folder));
  std::map<CheckpointRef, Folder> found;
  for (const auto& object : objects) {
    const auto ref = ref_in(object.key, folder);
    if (ref) found[*ref].sizes[object.key.substr(folder_in(folder, *ref).size())] = object.size;
  }
  return found;
}

std::string mark_in(const std::string& folder) { return folder + std::string(kMark) + random_hex(4); }

// Marks last: as long as something is there, it is known to be on its way out.
Result<void> remove_all(s3::S3Bucket& bucket, const std::string& folder, const Folder& found) {
  for (const auto& [name, size] : found.sizes) {
    if (!name.starts_with(kMark)) TRY(bucket.remove(folder + name));
  }
  for (const auto& [name, size] : found.sizes) {
    if (name.starts_with(kMark)) TRY(bucket.remove(folder + name));
  }
  return {};
}

}  // namespace

S3CheckpointStore::S3CheckpointStore(s3::S3Settings settings, s3::S3Patience patience, s3::S3Sizes sizes)
    : bucket_(std::move(settings), std::move(patience), sizes),
      root_(bucket_.settings().place.prefix.empty() ? "" : bucket_.settings().place.prefix + "/") {}

// An OperationId may have been built without parse(); none reaches a key unchecked.
Result<std::string> S3CheckpointStore::folder_of(const OperationId& operation) const {
  TRY_ASSIGN(const OperationId checked, OperationId::parse(operation.value));
  return root_ + checked.value + "/";
}

Result<StoredCheckpoint> S3CheckpointStore::put(const CheckpointContent& content) {
  const CheckpointRef ref = content.description.ref;
  TRY_ASSIGN(const Manifest manifest, describe(content));
  TRY_ASSIGN(const ManifestText text, write_manifest(manifest));
  TRY_ASSIGN(const std::string operation_folder, folder_of(content.description.operation));
  std::vector<FileContent> files = content.files;
  files.push_back(text_file(std::string(kManifestFile), text.text));
  auto written = write(folder_in(operation_folder, ref), files);
  if (!written.ok() && written.error().code == ErrorCode::kConflict) return already_there(ref);
  if (!written.ok()) return std::move(written).error().while_doing("saving checkpoint " + ref.to_string());
  StoredCheckpoint stored{ref, 0, text.digest};
  for (const FileContent& file : files) stored.total_bytes += file.size();
  return stored;
}

Result<void> S3CheckpointStore::write(const std::string& folder, const std::vector<FileContent>& files) {
  const auto claim = WritingClaim::take(being_written_, folder);
  TRY_ASSIGN(const auto manifest, bucket_.size_of(folder + std::string(kManifestFile)));  // step 1
  if (!claim || manifest) return Error(ErrorCode::kConflict, "It is taken.");
  for (const FileContent& file : files) {  // steps 2 and 3
    auto created = bucket_.create(folder + file.name, file.pieces());
    if (!created.ok()) return give_up(folder, files, std::move(created).error());
  }
  return check_whole(folder, files);  // step 4
}

// Only to give the space back. After an outage nobody knows what arrived, or will; that is left to the sweep.
Error S3CheckpointStore::give_up(const std::string& folder, const std::vector<FileContent>& files,
                                 Error reason) {
  if (reason.code == ErrorCode::kConflict || reason.code == ErrorCode::kUnavailable) return reason;
  for (auto file = files.rbegin(); file != files.rend(); ++file) {  // the manifest first
    if (!bucket_.remove(folder + file->name).ok()) break;
  }
  return reason;
}

// A listing may lag behind on some servers, so what it does not show is asked for by name.
Result<void> S3CheckpointStore::check_whole(const std::string& folder,
                                            const std::vector<FileContent>& files) {
  TRY_ASSIGN(const Folder found, list_folder(bucket_, folder));
  bool is_whole = !found.has_mark();
  for (const FileContent& file : files) {
    const auto listed = found.sizes.find(file.name);
    if (!is_whole) break;
    if (listed != found.sizes.end() && listed->second == file.size()) continue;
    TRY_ASSIGN(const auto size, bucket_.size_of(folder + file.name));
    is_whole = size == file.size();
  }
  if (is_whole) return {};
  TRY(bucket_.remove(folder + std::string(kManifestFile)));
  return Error(ErrorCode::kIo, "The unfinished checkpoint was taken away while it was written.");
}

Result<VerifiedCheckpoint> S3CheckpointStore::load(const OperationId& operation, CheckpointRef ref) const {
  TRY_ASSIGN(const std::string operation_folder, folder_of(operation));
  const std::string folder = folder_in(operation_folder, ref);
  auto verified = VerifiedCheckpoint::verify(operation, ref, FilesInBucket(bucket_, folder));
  if (verified.ok()) return verified;
  if (verified.error().code == ErrorCode::kCheckpointCorrupted) {
    // Gone, or going: then what is missing was taken away and is no damage.
    TRY_ASSIGN(const Folder found, list_folder(bucket_, folder));
    const bool is_going = !found.has_manifest() && found.has_mark();
    if (found.sizes.empty() || is_going) return no_checkpoint(operation, ref);
  }
  return std::move(verified).error().while_doing("verifying checkpoint " + ref.to_string() + " of " +
                                                 operation.value);
}

Result<std::vector<CheckpointRef>> S3CheckpointStore::list(const OperationId& operation) const {
  TRY_ASSIGN(const std::string folder, folder_of(operation));
  TRY_ASSIGN(const auto found, list_operation(bucket_, folder));
  std::vector<CheckpointRef> refs;
  for (const auto& [ref, objects] : found) {
    if (objects.has_manifest()) refs.push_back(ref);
  }
  return refs;
}

// Also those of which there is nothing but an unfinished upload: a sweep must find them.
Result<std::vector<OperationId>> S3CheckpointStore::operations() const {
  TRY_ASSIGN(const auto folders, bucket_.list_folders(root_));
  TRY_ASSIGN(const auto uploads, bucket_.list_uploads(root_));
  std::set<std::string> names(folders.begin(), folders.end());
  for (const auto& upload : uploads) {
    names.insert(upload.key.substr(root_.size(), upload.key.find('/', root_.size()) - root_.size()));
  }
  std::vector<OperationId> operations;
  for (const std::string& name : names) {
    if (is_valid_id(name)) operations.push_back({name});
  }
  return operations;
}

Result<void> S3CheckpointStore::discard(const std::string& folder) {
  TRY(bucket_.create(mark_in(folder), {}));
  TRY(bucket_.remove(folder + std::string(kManifestFile)));  // gone from here
  TRY_ASSIGN(const Folder found, list_folder(bucket_, folder));
  return remove_all(bucket_, folder, found);
}

Result<void> S3CheckpointStore::remove(const OperationId& operation, CheckpointRef ref) {
  TRY_ASSIGN(const std::string operation_folder, folder_of(operation));
  const std::string folder = folder_in(operation_folder, ref);
  TRY_ASSIGN(const Folder found, list_folder(bucket_, folder));
  if (found.sizes.empty())
    return bucket_.remove(folder + std::string(kManifestFile));  // the listing may lag behind
  return discard(folder);
}

Result<void> S3CheckpointStore::remove_operation(const OperationId& operation) {
  TRY_ASSIGN(const std::string folder, folder_of(operation));
  TRY(abort_uploads(folder, [](CheckpointRef) { return true; }));
  TRY_ASSIGN(const auto found, list_operation(bucket_, folder));
  for (const auto& [ref, objects] : found) TRY(discard(folder_in(folder, ref)));
  TRY_ASSIGN(const Folder others, list_folder(bucket_, folder));
  return remove_all(bucket_, folder, others);
}

Result<std::set<CheckpointRef>> S3CheckpointStore::abort_uploads(
    const std::string& operation_folder, const std::function<bool(CheckpointRef)>& may_go) {
  TRY_ASSIGN(const auto uploads, bucket_.list_uploads(operation_folder));
  std::set<CheckpointRef> aborted;
  for (const auto& upload : uploads) {
    const auto ref = ref_in(upload.key, operation_folder);
    if (!ref || !may_go(*ref)) continue;
    TRY(bucket_.abort(upload));
    aborted.insert(*ref);
  }
  return aborted;
}

// False when a writer was faster.
Result<bool> S3CheckpointStore::sweep(const std::string& folder) {
  const std::string mark = mark_in(folder);
  TRY(bucket_.create(mark, {}));
  TRY_ASSIGN(const Folder found, list_folder(bucket_, folder));
  if (found.has_manifest()) {
    TRY(bucket_.remove(mark));
    return false;
  }
  TRY(remove_all(bucket_, folder, found));
  TRY(bucket_.remove(mark));  // the listing may lag behind
  return true;
}

Result<std::size_t> S3CheckpointStore::remove_leftovers(
    const OperationId& operation, const std::function<bool(CheckpointRef)>& may_be_in_use) {
  TRY_ASSIGN(const std::string operation_folder, folder_of(operation));
  TRY_ASSIGN(const auto found, list_operation(bucket_, operation_folder));
  const auto may_go = [&](CheckpointRef ref) { return !may_be_in_use(ref); };
  // First: a writer whose upload is gone can't go on to its manifest.
  TRY_ASSIGN(std::set<CheckpointRef> removed, abort_uploads(operation_folder, may_go));
  for (const auto& [ref, objects] : found) {
    if (objects.has_manifest() || (!objects.has_mark() && !may_go(ref))) continue;
    TRY_ASSIGN(const bool is_removed, sweep(folder_in(operation_folder, ref)));
    if (is_removed) removed.insert(ref);
  }
  return removed.size();
}

}  // namespace ktrdr::checkpoints
