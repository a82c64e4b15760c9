// What the store knows of a checkpoint: enough to find it, to verify it and to tell a person what it holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/core/checkpoint_type.h"
#include "ktrdr/core/ids.h"

namespace ktrdr::api {

using ktrdr::CheckpointType;
using ktrdr::parse_checkpoint_type;
using ktrdr::to_string;

struct CheckpointInfo {
  CheckpointRef ref;
  std::optional<CheckpointRef> parent;  // the last checkpoint the server had acknowledged; none for the first
  CheckpointType checkpoint_type = CheckpointType::kPeriodic;
  std::optional<std::int64_t> epoch;  // the last completed epoch, 0-based; none before the first is complete
  std::int64_t start_epoch = 0;       // where a resumed run goes on: the epoch ...
  std::int64_t start_batch = 0;       // ... and the batch in it
  std::int64_t global_step = 0;
  std::string created_at;  // ISO-8601, the server's clock
  std::int64_t size_bytes = 0;
  std::string manifest_digest;
  bool operator==(const CheckpointInfo&) const = default;
};

// GET /checkpoints/{operation_id}: the current checkpoint first, then its predecessor.
struct CheckpointData {
  std::string operation_id;
  CheckpointType checkpoint_type = CheckpointType::kPeriodic;
  std::string created_at;
  CheckpointInfo state;
  std::vector<CheckpointInfo> kept;
  std::string artifacts_path;
};

struct CheckpointResponse {
  bool success = true;
  CheckpointData data;
};

}  // namespace ktrdr::api
