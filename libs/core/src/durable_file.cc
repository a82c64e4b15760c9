#include "ktrdr/core/durable_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "ktrdr/core/ids.h"

namespace ktrdr {
namespace fs = std::filesystem;
namespace {

FileDescriptor open_file(const fs::path& path, int flags, mode_t mode = 0644) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return FileDescriptor(fd);
}

Result<void> write_all(int fd, std::span<const std::byte> bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return io_error("write", path, written == 0 ? ENOSPC : errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

// EINTR is the one answer of fsync that says nothing about the pages, so it alone is asked again.
Result<void> sync(int fd, const fs::path& path) {
  int status = 0;
  do {
    status = ::fsync(fd);
  } while (status != 0 && errno == EINTR);
  if (status != 0) return io_error("sync", path, errno);
  return {};
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

Result<void> write_new(const fs::path& file, std::span<const std::span<const std::byte>> pieces,
                       mode_t mode) {
  const FileDescriptor fd = open_file(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  if (!fd.is_open()) return io_error("create", file, errno);
  for (const auto& piece : pieces) TRY(write_all(fd.get(), piece, file));
  return sync(fd.get(), file);
}

}  // namespace

FileDescriptor::~FileDescriptor() { close(); }

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void FileDescriptor::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Result<void> write_new_file_synced(const fs::path& file, std::span<const std::span<const std::byte>> pieces) {
  return write_new(file, pieces, 0644);
}

Result<void> write_new_file_synced(const fs::path& file, std::string_view content) {
  const std::span<const std::byte> piece = std::as_bytes(std::span(content));
  return write_new(file, {&piece, 1}, 0644);
}

Result<void> sync_folder(const fs::path& folder) {
  const FileDescriptor fd = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (!fd.is_open()) return io_error("open", folder, errno);
  return sync(fd.get(), folder);
}

Result<void> rename_durably(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return io_error("rename to", to, errno);
  TRY(sync_folder(folder_of(to)));  // a rename is not durable before its folder is
  if (folder_of(from) != folder_of(to)) TRY(sync_folder(folder_of(from)));
  return {};
}

Result<void> replace_file_durably(const fs::path& file, std::string_view content, int mode) {
  const fs::path temporary = file.string() + "." + random_hex(4) + ".tmp";
  const std::span<const std::byte> piece = std::as_bytes(std::span(content));
  Result<void> done = write_new(temporary, {&piece, 1}, static_cast<mode_t>(mode));
  if (done.ok()) done = rename_durably(temporary, file);
  if (!done.ok()) ::unlink(temporary.c_str());
  return done;
}

Result<void> create_folders_durably(const fs::path& folder) {
  if (folder.empty()) return {};
  if (!folder.has_filename()) return create_folders_durably(folder.parent_path());  // a trailing slash
  if (::mkdir(folder.c_str(), 0755) == 0) return sync_folder(folder_of(folder));
  if (errno == EEXIST) {
    std::error_code ignored;
    if (fs::is_directory(folder, ignored)) return {};
    return io_error("create the folder", folder, ENOTDIR);
  }
  if (errno != ENOENT || !folder.has_parent_path()) return io_error("create the folder", folder, errno);
  TRY(create_folders_durably(folder.parent_path()));
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST)
    return io_error("create the folder", folder, errno);
  return sync_folder(folder_of(folder));
}

Result<std::string> read_file(const fs::path& file, std::size_t at_most_bytes) {
  const FileDescriptor fd = open_file(file, O_RDONLY);
  if (!fd.is_open()) {
    if (errno == ENOENT) return Error(ErrorCode::kNotFound, "There is no file " + file.string() + ".");
    return io_error("open", file, errno);
  }
  std::string content;
  while (content.size() <= at_most_bytes) {
    constexpr std::size_t kBlock = 1 << 16;
    const std::size_t before = content.size();
    content.resize(before + kBlock);
    const ssize_t got = ::read(fd.get(), content.data() + before, kBlock);
    const int error_number = errno;
    content.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && error_number == EINTR) continue;
    if (got < 0) return io_error("read", file, error_number);
    if (got == 0) return content;
  }
  return Error(ErrorCode::kTooLarge, file.string() + " is larger than the " + std::to_string(at_most_bytes) +
                                         " bytes it may have.");
}

Error io_error(std::string_view attempted, const fs::path& path, int error_number) {
  return {ErrorCode::kIo, "Cannot " + std::string(attempted) + " " + path.string() + ": " +
                              std::strerror(error_number) + "."};
}

Result<FileLock> FileLock::acquire(const fs::path& file) {
  FileDescriptor fd = open_file(file, O_RDWR | O_CREAT, 0600);
  if (!fd.is_open()) return io_error("open", file, errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return Error(ErrorCode::kConflict, "Another process holds " + file.string() + ".");
    return io_error("lock", file, errno);
  }
  return FileLock(std::move(fd));
}

}  // namespace ktrdr
