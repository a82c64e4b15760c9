#include "mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

namespace ktrdr::checkpoints {
namespace fs = std::filesystem;
namespace {

Error corrupted(std::string_view name, const std::string& what) {
  return {ErrorCode::kCheckpointCorrupted, std::string(name) + " " + what + "."};
}

Error cannot_open(std::string_view name, const fs::path& path, int error_number) {
  if (error_number == ENOENT) return corrupted(name, "is missing");
  if (error_number == ELOOP) return corrupted(name, "is a symbolic link");
  return io_error("open", path, error_number);
}

Error cannot_map(std::string_view name, const fs::path& path, int error_number) {
  // EFAULT is what a page that can't be read from the disk looks like.
  if (error_number == EFAULT || error_number == EIO) return corrupted(name, "can't be read from its disk");
  return io_error("map", path, error_number);
}

// O_NONBLOCK: opening a named pipe would wait for ever.
Result<FileDescriptor> open_in(const FileDescriptor& folder, const std::string& name, const fs::path& path) {
  int fd = -1;
  do {
    fd = ::openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return cannot_open(name, path, errno);
  return FileDescriptor(fd);
}

constexpr std::size_t kManyBytes = std::size_t{1} << 20;

struct Found {
  std::size_t size = 0;
  bool is_ours = false;
};

Result<Found> examine(const FileDescriptor& file, std::string_view name, std::uint64_t at_most,
                      const fs::path& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return io_error("examine", path, errno);
  if (!S_ISREG(status.st_mode)) return corrupted(name, "is not a regular file");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > at_most) {
    return corrupted(name, "has " + std::to_string(size) + " bytes where at most " + std::to_string(at_most) +
                               " are expected");
  }
  return Found{static_cast<std::size_t>(size), status.st_uid == ::geteuid()};
}

// Whether every page was read from the disk already, and without an error.
bool is_cached(void* address, std::size_t size) {
  const auto page_size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((size + page_size - 1) / page_size);
  return ::mincore(address, size, pages.data()) == 0 &&
         std::all_of(pages.begin(), pages.end(), [](unsigned char page) { return (page & 1) != 0; });
}

// Kernels before 5.14 don't know the advice; then the pages are read when they are used. Asked twice, because
// whoever hears that a checkpoint is damaged gives it up: a bad sector fails again, a hiccup does not.
int populate(void* address, std::size_t size) {
  int error_number = 0;
  for (int tries = 0; tries < 2; ++tries) {
    if (::madvise(address, size, MADV_POPULATE_READ) == 0 || errno == EINVAL) return 0;
    error_number = errno;
  }
  return error_number;
}

// The kernel tells only the owner which pages of a file are in the page cache; others hear that all are.
// Of a large file, pages that are there are not asked for one by one: they are mapped many at a time when
// they are used.
int read_all_pages(void* address, const Found& file) {
  if (file.size >= kManyBytes && file.is_ours && is_cached(address, file.size)) return 0;
  return populate(address, file.size);
}

}  // namespace

Result<FileBytes> map_file(const FileDescriptor& folder, std::string_view name, std::uint64_t at_most,
                           const fs::path& folder_path) {
  const fs::path path = folder_path / name;
  TRY_ASSIGN(const FileDescriptor file, open_in(folder, std::string(name), path));
  TRY_ASSIGN(const Found found, examine(file, name, at_most, path));
  const std::size_t size = found.size;
  if (size == 0) return FileBytes{};
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) return cannot_map(name, path, errno);
  std::shared_ptr<const void> owner(address, [size](void* mapped) { ::munmap(mapped, size); });
  if (const int error_number = read_all_pages(address, found); error_number != 0) {
    return cannot_map(name, path, error_number);
  }
  return FileBytes{std::move(owner), std::span(static_cast<const std::byte*>(address), size)};
}

}  // namespace ktrdr::checkpoints
