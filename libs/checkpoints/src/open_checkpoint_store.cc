#include "ktrdr/checkpoints/open_checkpoint_store.h"

#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "ktrdr/checkpoints/s3_checkpoint_store.h"
#include "ktrdr/core/log.h"

namespace ktrdr::checkpoints {
namespace {

Result<std::unique_ptr<CheckpointStore>> open_s3(const std::string& place,
                                                 const s3::Environment& environment) {
  TRY_ASSIGN(s3::S3Settings settings, s3::find_s3_settings(place, environment));
  auto store = std::make_unique<S3CheckpointStore>(std::move(settings));
  const auto access = store->check_access();
  if (!access.ok() && access.error().code != ErrorCode::kUnavailable)
    return Error(access.error()).while_doing("opening " + place);
  if (!access.ok()) log(LogLevel::kWarning, "checkpoints: " + access.error().message, {{"place", place}});
  return std::unique_ptr<CheckpointStore>(std::move(store));
}

}  // namespace

Result<std::unique_ptr<CheckpointStore>> open_checkpoint_store(const std::string& place,
                                                               const s3::Environment& environment) {
  if (s3::is_s3_url(place)) return open_s3(place, environment);
  TRY_ASSIGN(FileCheckpointStore store, FileCheckpointStore::open(place));
  return std::unique_ptr<CheckpointStore>(std::make_unique<FileCheckpointStore>(std::move(store)));
}

}  // namespace ktrdr::checkpoints
