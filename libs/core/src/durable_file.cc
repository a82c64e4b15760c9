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

// Large enough for the disk to work well, and small against what a checkpoint writes.
constexpr std::uint64_t kWritebackBytes = std::uint64_t{8} << 20;

FileDescriptor open_file(const fs::path& path, int flags, mode_t mode = 0644) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return FileDescriptor(fd);
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

Result<void> write_new(const fs::path& path, std::span<const std::span<const std::byte>> pieces, int mode) {
  TRY_ASSIGN(NewFile file, NewFile::create(path, mode));
  for (const auto& piece : pieces) TRY(file.write(piece));
  return file.sync();
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

Result<NewFile> NewFile::create(fs::path file, int mode) {
  FileDescriptor fd = open_file(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, static_cast<mode_t>(mode));
  if (!fd.is_open()) return io_error("create", file, errno);
  return NewFile(std::move(fd), std::move(file));
}

Result<void> NewFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return io_error("write", path_, written == 0 ? ENOSPC : errno);
    written_ += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return written_ - given_to_disk_ >= kWritebackBytes ? start_writeback() : Result<void>();
}

// Promises nothing about durability and waits for nothing but room in the disk's queue. A file system that
// can't do it leaves all the work to fsync.
Result<void> NewFile::start_writeback() {
  const auto begin = static_cast<off64_t>(std::exchange(given_to_disk_, written_));
  const int status =
      ::sync_file_range(fd_.get(), begin, static_cast<off64_t>(written_) - begin, SYNC_FILE_RANGE_WRITE);
  if (status == 0 || (errno != EIO && errno != ENOSPC && errno != ENOMEM)) return {};
  return io_error("write", path_, errno);  // nobody may have to hear of it a second time
}

Result<void> NewFile::sync() { return ktrdr::sync(fd_.get(), path_); }

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
  Result<void> done = write_new(temporary, {&piece, 1}, mode);
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
