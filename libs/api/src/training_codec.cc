#include "schema_writer.h"
#include "training_fields.h"

namespace ktrdr::api {

KTRDR_WIRE_TYPE(StartTrainingRequest);
KTRDR_WIRE_TYPE(StartTrainingResponse);
KTRDR_WIRE_TYPE(TrainingRequest);
KTRDR_WIRE_TYPE(TrainingJob);
KTRDR_WIRE_TYPE(TrainingMetrics);
KTRDR_WIRE_TYPE(ClassReport);
KTRDR_WIRE_TYPE(TestReport);
KTRDR_WIRE_TYPE(ModelInfo);
KTRDR_WIRE_TYPE(DataSummary);
KTRDR_WIRE_TYPE(TrainingResult);
KTRDR_WIRE_TYPE(NormalizationEntry);
KTRDR_WIRE_TYPE(FeaturesFile);
KTRDR_WIRE_TYPE(ModelMetadata);
KTRDR_WIRE_TYPE(ModelTiming);
KTRDR_WIRE_TYPE(PerformanceResponse);
KTRDR_WIRE_TYPE(ResultsResponse);

}  // namespace ktrdr::api
