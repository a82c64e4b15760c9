#include "operation_fields.h"
#include "schema_writer.h"

namespace ktrdr::api {

KTRDR_WIRE_TYPE(EpochMetrics);
KTRDR_WIRE_TYPE(ProgressContext);
KTRDR_WIRE_TYPE(Progress);
KTRDR_WIRE_TYPE(OperationMetadata);
KTRDR_WIRE_TYPE(OperationMetrics);
KTRDR_WIRE_TYPE(Operation);
KTRDR_WIRE_TYPE(OperationSummary);
KTRDR_WIRE_TYPE(OperationResponse);
KTRDR_WIRE_TYPE(OperationListResponse);
KTRDR_WIRE_TYPE(StatusUpdateRequest);
KTRDR_WIRE_TYPE(StatusUpdateResponse);
KTRDR_WIRE_TYPE(CancelRequest);
KTRDR_WIRE_TYPE(CancelData);
KTRDR_WIRE_TYPE(CancelResponse);
KTRDR_WIRE_TYPE(ResumedFromInfo);
KTRDR_WIRE_TYPE(ResumeOperationData);
KTRDR_WIRE_TYPE(ResumeOperationResponse);
KTRDR_WIRE_TYPE(ResumeOperationRequest);
KTRDR_WIRE_TYPE(MetricsData);
KTRDR_WIRE_TYPE(MetricsResponse);
KTRDR_WIRE_TYPE(MessageResponse);
KTRDR_WIRE_TYPE(ErrorInfo);
KTRDR_WIRE_TYPE(ErrorBody);
KTRDR_WIRE_TYPE(OrphanDetectorInfo);
KTRDR_WIRE_TYPE(HealthResponse);

}  // namespace ktrdr::api
