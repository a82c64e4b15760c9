#include "ktrdr/checkpoints/model_weights.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdint>
#include <limits>

#include "ktrdr/core/digest.h"
#include "ktrdr/core/durable_file.h"
#include "mapped_file.h"

namespace ktrdr::checkpoints {
namespace fs = std::filesystem;
namespace {

Result<FileDescriptor> open_model_folder(const fs::path& folder) {
  int fd = -1;
  do {
    fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd >= 0) return FileDescriptor(fd);
  if (errno == ENOENT || errno == ENOTDIR)
    return Error(ErrorCode::kNotFound, "There is no folder " + folder.string() + " on this machine.");
  return io_error("open", folder, errno);
}

Result<void> check_digest(std::span<const std::byte> bytes, std::string_view sha256) {
  if (sha256.empty() || Sha256().update(bytes).hex() == sha256) return {};
  return Error(ErrorCode::kCheckpointCorrupted,
               std::string(kModelFile) + " is damaged: its SHA-256 differs from the operation's.");
}

}  // namespace

Result<ModelWeights> ModelWeights::read(const fs::path& folder, std::string_view sha256) {
  ModelWeights weights;
  TRY_ASSIGN(const FileDescriptor opened, open_model_folder(folder));
  constexpr std::uint64_t kAnySize = std::numeric_limits<std::int64_t>::max();
  auto checked = [&]() -> Result<void> {
    TRY_ASSIGN(weights.content_, map_file(opened, kModelFile, kAnySize, folder));
    TRY(check_digest(weights.bytes(), sha256));
    TRY_ASSIGN(weights.tensors_, parse_safetensors(weights.bytes()));
    return {};
  }();
  if (!checked.ok()) return std::move(checked).error().while_doing("reading the model in " + folder.string());
  return weights;
}

}  // namespace ktrdr::checkpoints
