// A file system of a few megabytes that a test can fill, or make read-only. Needs root (or CAP_SYS_ADMIN):
// without it the CHECK says so, because a test that quietly doesn't run is none.
#pragma once

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "ktrdr/core/check.h"
#include "ktrdr/core/testing/temporary_folder.h"

namespace ktrdr::testing {

class SmallDisk {
 public:
  enum class Kind { kMemory, kLoop };  // tmpfs, or ext4 in a file

  SmallDisk(Kind kind, int megabytes) {
    std::filesystem::create_directory(path());
    if (kind == Kind::kMemory) {
      const std::string size = "size=" + std::to_string(megabytes) + "m";
      const int mounted = mount("tmpfs", path().c_str(), "tmpfs", 0, size.c_str());
      CHECK(mounted == 0, "tests of full disks mount a tmpfs: run them as root");
      return;
    }
    const std::string image = (folder_ / "image").string();
    const std::string make = "truncate -s " + std::to_string(megabytes) + "M " + image +
                             " && mkfs.ext4 -q -m 0 " + image + " && mount -o loop " + image + " " +
                             path().string();
    CHECK(std::system(make.c_str()) == 0, "tests of full disks mount an ext4 from a file: run them as root");
  }
  ~SmallDisk() { umount2(path().c_str(), MNT_DETACH); }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  std::filesystem::path path() const { return folder_ / "disk"; }

  std::uint64_t free_bytes() const {
    struct statvfs status {};
    CHECK(statvfs(path().c_str(), &status) == 0, "it is mounted");
    return std::uint64_t{status.f_bavail} * status.f_frsize;
  }

  // Takes all but `leave` bytes; once more takes more.
  void fill(std::uint64_t leave = 0) {
    const int fd = open(filler().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    CHECK(fd >= 0 || leave == 0, "there is room for a name");
    const std::string block(4096, 'x');
    while (fd >= 0 && free_bytes() > leave && write(fd, block.data(), block.size()) > 0) {
    }
    if (fd >= 0) fsync(fd), close(fd);
  }
  void empty() { std::filesystem::remove(filler()); }

  void set_read_only(bool read_only) {
    unsigned long flags = MS_REMOUNT;
    if (read_only) flags |= MS_RDONLY;
    CHECK(mount(nullptr, path().c_str(), nullptr, flags, nullptr) == 0, "nothing is open for writing");
  }

 private:
  std::filesystem::path filler() const { return path() / "filler"; }

  const TemporaryFolder folder_;
};

}  // namespace ktrdr::testing
