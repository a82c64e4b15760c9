#include "file_memory.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cstdlib>

#include "ktrdr/core/durable_file.h"

namespace ktrdr::checkpoints {
namespace {

// Not /tmp, which is in memory on many machines.
const char* folder_for_large_files() {
  const char* chosen = std::getenv("TMPDIR");
  return chosen != nullptr ? chosen : "/var/tmp";
}

// Writing to a mapped page for which the disk has no room would be a signal; so the room is taken first.
FileDescriptor nameless_file(std::size_t size) {
  FileDescriptor file(::open(folder_for_large_files(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file.is_open() || ::posix_fallocate(file.get(), 0, static_cast<off_t>(size)) != 0) return {};
  return file;
}

}  // namespace

std::optional<FileMemory> make_file_memory(std::size_t size) {
  const FileDescriptor file = nameless_file(size);
  if (!file.is_open()) return std::nullopt;
  void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (address == MAP_FAILED) return std::nullopt;
  return FileMemory{std::shared_ptr<const void>(address, [size](void* mapped) { ::munmap(mapped, size); }),
                    std::span(static_cast<std::byte*>(address), size)};
}

}  // namespace ktrdr::checkpoints
