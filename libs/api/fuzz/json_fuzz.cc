// Any bytes, read as every type of the wire: refused with a sentence, or written and read again as the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ktrdr/api/checkpoint.h"
#include "ktrdr/api/json.h"
#include "ktrdr/api/operation.h"
#include "ktrdr/api/training.h"
#include "ktrdr/api/worker.h"
#include "ktrdr/core/check.h"

namespace ktrdr::api {
namespace {

template <class T>
void read_and_repeat(std::string_view text) {
  const Result<T> value = from_json<T>(text);
  if (!value.ok()) {
    CHECK(value.error().code == ErrorCode::kInvalidArgument, "bad JSON is the sender's fault");
    CHECK(!value.error().message.empty(), "a refusal says why");
    return;
  }
  const std::string written = to_json(*value);
  const Result<T> again = from_json<T>(written);
  CHECK(again.ok(), "what we write we can read");
  CHECK(to_json(*again) == written, "a value survives the wire");
}

template <class... Types>
void read_as(std::string_view text) {
  (read_and_repeat<Types>(text), ...);
}

void read_as_every_type(std::string_view text) {
  read_as<JsonText, StartTrainingRequest, ResumeOperationRequest, CancelRequest, StatusUpdateRequest,
          WorkerRegistration, ClaimRequest, HeartbeatRequest, AddMetricsRequest, CommitCheckpointRequest,
          RewindRequest, CompleteRequest, FailRequest, StoppedRequest, TrainingStartRequest,
          TrainingResumeRequest>(text);                                                       // requests
  read_as<OperationMetadata, Progress, EpochMetrics, TrainingRequest, TrainingResult>(text);  // rows
  read_as<OperationResponse, OperationListResponse, CheckpointResponse, CheckpointListResponse, TrainingJob,
          ClaimAnswer, HeartbeatAnswer, CommitCheckpointAnswer, ErrorBody>(text);  // answers
}

}  // namespace
}  // namespace ktrdr::api

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ktrdr::api::read_as_every_type({reinterpret_cast<const char*>(data), size});
  return 0;
}
