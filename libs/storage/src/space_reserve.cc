#include "space_reserve.h"

#include <fcntl.h>

#include <system_error>

#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/log.h"

namespace ktrdr::storage {
namespace fs = std::filesystem;

SpaceReserve::SpaceReserve(fs::path file, std::uint64_t bytes) : file_(std::move(file)), bytes_(bytes) {
  if (bytes_ == 0 || take()) return;
  given_up_ = true;
  log(LogLevel::kWarning, "the disk is too full for a reserve; free some space", {{"file", file_.string()}});
}

bool SpaceReserve::take() {
  std::error_code failed;
  const fs::space_info space = fs::space(file_.parent_path(), failed);
  const std::uint64_t held = fs::file_size(file_, failed);  // of the process before us
  if (!failed && held == bytes_) return true;
  if (space.available < 2 * bytes_) return false;
  const FileDescriptor fd(::open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (fd.is_open() && ::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes_)) == 0) return true;
  fs::remove(file_, failed);
  return false;
}

bool SpaceReserve::give_up() {
  if (bytes_ == 0 || given_up_) return false;
  std::error_code failed;
  given_up_ = true;
  if (!fs::remove(file_, failed)) return false;
  log(LogLevel::kWarning, "the disk is full: the database's reserve is used up; free some space",
      {{"file", file_.string()}});
  return true;
}

void SpaceReserve::take_again() {
  if (given_up_ && take()) given_up_ = false;
}

}  // namespace ktrdr::storage
