// Preloaded into station_program: the n-th write to a file takes only half of its bytes, really. With
// SHORT_WRITES=once that is all (an interrupted write); with =full every later write finds the disk full.
//
//   SHORT_WRITE_AT=n  (0: none)   SHORT_WRITES=once|full   SHORT_WRITE_REPORT=FILE
//
// Writes into REPORT how many writes there were and how many it shortened or refused.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

using Write = ssize_t (*)(int, const void*, size_t);
using WriteAt = ssize_t (*)(int, const void*, size_t, off_t);

Write real_write() {
  static const auto call = reinterpret_cast<Write>(dlsym(RTLD_NEXT, "write"));
  return call;
}

WriteAt real_pwrite() {
  static const auto call = reinterpret_cast<WriteAt>(dlsym(RTLD_NEXT, "pwrite64"));
  return call;
}

std::string_view setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

struct Plan {
  long at = std::atol(std::string(setting("SHORT_WRITE_AT")).c_str());
  bool full = setting("SHORT_WRITES") == "full";
  std::atomic<long> count = 0, struck = 0;

  ~Plan() {
    char text[64];
    const int length = std::snprintf(text, sizeof text, "%ld %ld\n", count.load(), struck.load());
    const int fd =
        ::open(std::string(setting("SHORT_WRITE_REPORT")).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0) static_cast<void>(real_write()(fd, text, static_cast<size_t>(length)) == length);
  }
};

Plan& plan() {
  static Plan plan;
  return plan;
}

// stdout is not the disk that is tested.
bool is_file(int fd) {
  struct stat status {};
  return fd > STDERR_FILENO && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

// How many bytes may go; -1: none, the disk is full.
ssize_t allowed(int fd, size_t size) {
  if (!is_file(fd)) return static_cast<ssize_t>(size);
  const long number = ++plan().count;
  if (number == plan().at && size > 1) return ++plan().struck, static_cast<ssize_t>(size / 2);
  if (plan().full && plan().at > 0 && number > plan().at) return ++plan().struck, -1;
  return static_cast<ssize_t>(size);
}

ssize_t disk_is_full() {
  errno = ENOSPC;
  return -1;
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* bytes, size_t size) {
  const ssize_t part = allowed(fd, size);
  return part < 0 ? disk_is_full() : real_write()(fd, bytes, static_cast<size_t>(part));
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t at) {
  const ssize_t part = allowed(fd, size);
  return part < 0 ? disk_is_full() : real_pwrite()(fd, bytes, static_cast<size_t>(part), at);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) { return pwrite64(fd, bytes, size, at); }

}  // extern "C"
