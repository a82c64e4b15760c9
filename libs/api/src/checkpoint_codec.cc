#include "checkpoint_fields.h"
#include "schema_writer.h"

namespace ktrdr::api {

KTRDR_WIRE_TYPE(CheckpointInfo);
KTRDR_WIRE_TYPE(CheckpointCounts);
KTRDR_WIRE_TYPE(CheckpointState);
KTRDR_WIRE_TYPE(CheckpointData);
KTRDR_WIRE_TYPE(CheckpointResponse);
KTRDR_WIRE_TYPE(CheckpointSummary);
KTRDR_WIRE_TYPE(CheckpointListResponse);
KTRDR_WIRE_TYPE(CheckpointStatsResponse);
KTRDR_WIRE_TYPE(CheckpointsDeletedResponse);
KTRDR_WIRE_TYPE(CheckpointCleanupResponse);

}  // namespace ktrdr::api
