// The weights of a finished model, read back from its folder.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "ktrdr/checkpoints/safetensors.h"
#include "ktrdr/checkpoints/verified_checkpoint.h"

namespace ktrdr::checkpoints {

// Owns the memory that its views point to; moving it keeps them valid. Safe to read from several threads.
class ModelWeights {
 public:
  // Maps model.safetensors in `folder` and reads its header strictly. With `sha256` (what the operation's row
  // says) every byte is checked, without ("") only the header is. kNotFound when there is no such folder,
  // kCheckpointCorrupted when the file is missing or damaged.
  static Result<ModelWeights> read(const std::filesystem::path& folder, std::string_view sha256);

  const SafetensorsFile& tensors() const { return tensors_; }
  std::span<const std::byte> bytes() const { return content_.bytes; }  // of model.safetensors

 private:
  ModelWeights() = default;

  FileBytes content_;
  SafetensorsFile tensors_;
};

}  // namespace ktrdr::checkpoints
