// Memory for a large file that a store receives: it is backed by a nameless file, so that the kernel can put
// it on a disk whenever the process needs its memory for the state itself.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

namespace ktrdr::checkpoints {

struct FileMemory {
  std::shared_ptr<const void> owner;
  std::span<std::byte> bytes;
};

// In TMPDIR, or else /var/tmp, where the space is taken at once. Nothing when there is no space.
std::optional<FileMemory> make_file_memory(std::size_t size);

}  // namespace ktrdr::checkpoints
