#include "schema_writer.h"
#include "worker_fields.h"

namespace ktrdr::api {

KTRDR_WIRE_TYPE(WorkerRegistration);
KTRDR_WIRE_TYPE(WorkerInfo);
KTRDR_WIRE_TYPE(std::vector<WorkerInfo>);
KTRDR_WIRE_TYPE(ClaimRequest);
KTRDR_WIRE_TYPE(ClaimAnswer);
KTRDR_WIRE_TYPE(HeartbeatRequest);
KTRDR_WIRE_TYPE(AddMetricsRequest);
KTRDR_WIRE_TYPE(HeartbeatAnswer);
KTRDR_WIRE_TYPE(CommitCheckpointRequest);
KTRDR_WIRE_TYPE(CommitCheckpointAnswer);
KTRDR_WIRE_TYPE(RewindRequest);
KTRDR_WIRE_TYPE(CompleteRequest);
KTRDR_WIRE_TYPE(FailRequest);
KTRDR_WIRE_TYPE(StoppedRequest);
KTRDR_WIRE_TYPE(AppliedAnswer);
KTRDR_WIRE_TYPE(TrainingStartRequest);
KTRDR_WIRE_TYPE(TrainingResumeRequest);
KTRDR_WIRE_TYPE(TrainingStartedResponse);
KTRDR_WIRE_TYPE(WorkerRoot);
KTRDR_WIRE_TYPE(WorkerHealth);

}  // namespace ktrdr::api
