#include "event_fields.h"
#include "schema_writer.h"

namespace ktrdr::api {

KTRDR_WIRE_TYPE(OperationEvent);
KTRDR_WIRE_TYPE(EventsData);
KTRDR_WIRE_TYPE(EventsEnd);
KTRDR_WIRE_TYPE(EventsResponse);

}  // namespace ktrdr::api
