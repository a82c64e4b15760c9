#include "ktrdr/server/data_folder.h"

#include <sys/stat.h>

#include "ktrdr/core/ids.h"

namespace ktrdr::server {

Result<void> DataFolder::create() const {
  for (const auto& folder :
       {root, checkpoints(), models(), market(), strategies(), logs(), root / "workers"}) {
    TRY(create_folders_durably(folder));
  }
  return {};
}

Result<std::string> DataFolder::token_text() const {
  constexpr std::size_t kLargestToken = 4096, kTokenBytes = 32;
  auto text = read_file(token(), kLargestToken);
  if (!text.ok() && text.error().code != ErrorCode::kNotFound) return text;
  if (!text.ok()) {
    const std::string fresh = random_hex(kTokenBytes);
    TRY(replace_file_durably(token(), fresh + "\n", 0600));
    return fresh;
  }
  struct stat info {};
  if (::stat(token().c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
    return Error(
        ErrorCode::kForbidden,
        token().string() + " can be read by others; make it private with: chmod 600 " + token().string());
  }
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
  if (text->size() < kTokenBytes) {
    return Error(ErrorCode::kInvalidArgument,
                 token().string() + " holds no token; remove the file, and the next start makes a new one.");
  }
  return text;
}

}  // namespace ktrdr::server
