// From what a user wrote after --checkpoints to the store.
#pragma once

#include <memory>
#include <string>

#include "ktrdr/checkpoints/checkpoint_store.h"
#include "ktrdr/core/result.h"
#include "ktrdr/s3/s3_settings.h"

namespace ktrdr::checkpoints {

// "s3://bucket/prefix" with the keys of `environment` (see s3_settings.h), or else a folder, which is made
// when it is missing. Asks S3 once whether bucket and keys are good: kUnauthorized, kForbidden and
// kInvalidArgument say which variable to check. A server that can't be reached is no error here, but a
// warning: it may come back.
Result<std::unique_ptr<CheckpointStore>> open_checkpoint_store(const std::string& place,
                                                               const s3::Environment& environment);

}  // namespace ktrdr::checkpoints
