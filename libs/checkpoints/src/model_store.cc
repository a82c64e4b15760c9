#include "ktrdr/checkpoints/model_store.h"

#include <algorithm>
#include <charconv>

#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/core/digest.h"
#include "ktrdr/core/durable_file.h"
#include "write_once_folder.h"

namespace ktrdr::checkpoints {
namespace fs = std::filesystem;
namespace {

std::string sha256_of(const FileContent& file) {
  Sha256 digest;
  for (const auto& piece : file.pieces()) digest.update(piece);
  return digest.hex();
}

Error invalid(std::string text) { return {ErrorCode::kInvalidArgument, std::move(text)}; }

// The model's digest, once the list of files is found fit to be published.
Result<std::string> check_files(std::span<const FileContent> files) {
  const FileContent* model = nullptr;
  for (const FileContent& file : files) {
    if (!is_file_name(file.name)) return invalid("A model's file has a name that is not valid.");
    const auto same = [&](const FileContent& f) { return f.name == file.name; };
    if (std::count_if(files.begin(), files.end(), same) != 1)
      return invalid("A model has two files of one name.");
    if (file.name == kModelFile) model = &file;
  }
  if (model == nullptr || model->size() == 0)
    return invalid("A model needs a model.safetensors that is not empty.");
  return sha256_of(*model);
}

Result<bool> is_published_with(const fs::path& folder, std::span<const FileContent> files) {
  TRY_ASSIGN(const std::vector<std::string> names, entries_of(folder));
  if (names.size() != files.size()) return false;
  for (const FileContent& file : files) {
    if (!std::binary_search(names.begin(), names.end(), file.name)) return false;
    TRY_ASSIGN(const std::string digest, sha256_of_file(folder / file.name));
    if (digest != sha256_of(file)) return false;
  }
  return true;
}

std::optional<Attempt> unfinished_attempt(std::string_view folder) {
  const auto name = parse_folder_name(folder);
  if (!name || name->state == FolderState::kPublished) return std::nullopt;
  Attempt attempt = 0;
  const char* end = name->name.data() + name->name.size();
  const auto [stop, status] = std::from_chars(name->name.data(), end, attempt);
  return status == std::errc{} && stop == end ? std::optional(attempt) : std::nullopt;
}

Result<void> remove_earlier_leftovers(const fs::path& parent, Attempt attempt) {
  TRY_ASSIGN(const std::vector<std::string> names, entries_of(parent));
  for (const std::string& name : names) {
    const auto leftover = unfinished_attempt(name);
    if (leftover && *leftover < attempt) TRY(discard_folder(parent, name));
  }
  return {};
}

// The first try may have died between its rename and its fsync, so both folders are synced before anybody is
// told that the model is there. (A try whose fsync failed took its folder away again.)
Result<void> sync_parents(const fs::path& parent) {
  TRY(sync_folder(parent));
  return sync_folder(parent.parent_path());
}

Result<void> publish_or_find(const fs::path& parent, const std::string& name,
                             std::span<const FileContent> files) {
  auto published = publish_folder(parent, name, files);
  if (published.ok() || published.error().code != ErrorCode::kConflict) return published;
  TRY_ASSIGN(const bool is_same, is_published_with(parent / name, files));
  if (is_same) return sync_parents(parent);
  return Error(ErrorCode::kConflict, "Attempt " + name + " has already published another model in " +
                                         (parent / name).string() + "; it stays as it is.");
}

}  // namespace

Result<ModelStore> ModelStore::open(fs::path root) {
  if (root.empty()) return Error(ErrorCode::kInvalidArgument, "The folder for models has no name.");
  TRY(create_folders_durably(root));
  return ModelStore(std::move(root));
}

Result<PublishedModel> ModelStore::publish(const OperationId& operation, Attempt attempt,
                                           std::span<const FileContent> files) {
  TRY_ASSIGN(const OperationId checked, OperationId::parse(operation.value));
  if (attempt < 0) return invalid("An attempt is not negative.");
  TRY_ASSIGN(const std::string sha256, check_files(files));
  const fs::path parent = root_ / checked.value;
  TRY(remove_earlier_leftovers(parent, attempt));
  TRY(publish_or_find(parent, std::to_string(attempt), files));
  return PublishedModel{parent / std::to_string(attempt), sha256};
}

}  // namespace ktrdr::checkpoints
