// Files that are still there after the power was cut. A rename is durable only after fsync of its folder, and
// a failed fsync is final: the kernel may have dropped the pages, so the caller must write a new file, never
// sync again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "ktrdr/core/result.h"

namespace ktrdr {

// An open file descriptor that closes itself.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  void close();

 private:
  int fd_ = -1;
};

// A file that is being written; it must not have existed. The disk begins with what was written while more is
// being written, so that sync() has little left to wait for. After any error, or without sync(), what the
// file holds is unknown: it must be given up.
class NewFile {
 public:
  static Result<NewFile> create(std::filesystem::path file, int mode = 0644);

  Result<void> write(std::span<const std::byte> bytes);  // an interrupted or short write goes on
  Result<void> sync();                                   // fsync; asked once

 private:
  NewFile(FileDescriptor fd, std::filesystem::path path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Result<void> start_writeback();

  FileDescriptor fd_;
  std::filesystem::path path_;
  std::uint64_t written_ = 0, given_to_disk_ = 0;  // bytes
};

// Creates `file` (it must not exist), writes the pieces in order and fsyncs it. Not atomic: write into a
// folder or under a name that nobody reads yet. An interrupted or short write goes on.
Result<void> write_new_file_synced(const std::filesystem::path& file,
                                   std::span<const std::span<const std::byte>> pieces);
Result<void> write_new_file_synced(const std::filesystem::path& file, std::string_view content);

Result<void> sync_folder(const std::filesystem::path& folder);

// rename(2), then fsync of the target's folder (and of the source's, where it is another).
Result<void> rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

// Replaces or creates `file` so that a reader, also one after a power cut, sees the old or the new content,
// whole.
Result<void> replace_file_durably(const std::filesystem::path& file, std::string_view content,
                                  int mode = 0644);

// mkdir -p, durable: each new folder's parent is fsynced.
Result<void> create_folders_durably(const std::filesystem::path& folder);

Result<std::string> read_file(const std::filesystem::path& file, std::size_t at_most_bytes);

// "No space left on device" and the like, for messages.
Error io_error(std::string_view attempted, const std::filesystem::path& path, int error_number);

// A lock on a file for the life of this object and of every child process that inherits its descriptor
// (flock).
class FileLock {
 public:
  // kConflict when another process holds it.
  static Result<FileLock> acquire(const std::filesystem::path& file);
  int descriptor() const { return fd_.get(); }

 private:
  explicit FileLock(FileDescriptor fd) : fd_(std::move(fd)) {}
  FileDescriptor fd_;
};

}  // namespace ktrdr
