#include "schema_writer.h"
#include "checkpoint_fields.h"

namespace ktrdr::api {

KTRDR_WIRE_TYPE(CheckpointInfo);
KTRDR_WIRE_TYPE(CheckpointData);
KTRDR_WIRE_TYPE(CheckpointResponse);

}  // namespace ktrdr::api
