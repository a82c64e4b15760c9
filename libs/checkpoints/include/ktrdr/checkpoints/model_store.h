// Where finished models go: written once under <root>/<operation>/<attempt>/, by the same steps as a
// checkpoint. The fenced `complete(path, sha256)` afterwards makes one of them the operation's model.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "ktrdr/checkpoints/file_content.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/core/result.h"

namespace ktrdr::checkpoints {

struct PublishedModel {
  std::filesystem::path path;  // the folder
  std::string model_sha256;    // of model.safetensors
  bool operator==(const PublishedModel&) const = default;
};

// Holds nothing but the path of its root: safe from several threads and processes.
class ModelStore {
 public:
  // Creates `root` when it is missing.
  static Result<ModelStore> open(std::filesystem::path root);

  // Visible entirely or not at all, and durable when this returns. `files` must hold a model.safetensors that
  // is not empty (kInvalidArgument).
  //
  // Publishing the same attempt again is what an owner does whose answer was lost between publish and
  // complete: a training ends in the same bytes, so equal files get the same answer. Other files are refused
  // with kConflict and the published ones stay, because a row may already name them: two results of one
  // attempt are a bug to be seen.
  //
  // Unfinished folders of earlier attempts are removed; whoever still writes one gets kIo.
  Result<PublishedModel> publish(const OperationId& operation, Attempt attempt,
                                 std::span<const FileContent> files);

 private:
  explicit ModelStore(std::filesystem::path root) : root_(std::move(root)) {}

  std::filesystem::path root_;
};

}  // namespace ktrdr::checkpoints
