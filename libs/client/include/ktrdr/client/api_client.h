// The server's API with one typed method per route. A refusal is the Error that the server returned, with its
// code and its sentence; kUnavailable also means that no answer came. Answers may hold keys that we don't
// know: a newer server is no error.
//
// Safe to call from several threads. Nothing is repeated blindly: only start, retry and resume are asked once
// more when no answer came, with the same Idempotency-Key, so that the server does the work at most once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/api/checkpoint.h"
#include "ktrdr/api/event.h"
#include "ktrdr/api/operation.h"
#include "ktrdr/api/training.h"
#include "ktrdr/api/worker.h"
#include "ktrdr/client/http_client.h"
#include "ktrdr/client/server_address.h"
#include "ktrdr/core/ids.h"

namespace ktrdr::client {

struct OperationFilter {
  std::optional<api::OperationStatus> status;
  std::optional<std::string> operation_type;
  std::optional<std::int64_t> limit, offset;  // the server's defaults: 10 and 0
  bool active_only = false;
  std::optional<std::string> cursor;  // next_cursor of the page before
};

struct CheckpointFilter {
  std::optional<std::int64_t> older_than_days, limit;
  std::optional<std::string> cursor;
};

struct EventFilter {
  std::optional<std::int64_t> after, limit;  // without `after`: the newest
};

class ApiClient {
 public:
  explicit ApiClient(ServerAddress server, Duration timeout = Duration(30'000));

  const std::string& url() const { return server_.url; }

  // ---- for people ----
  Result<api::HealthResponse> health();
  Result<api::StartTrainingResponse> start_training(const api::StartTrainingRequest& request);
  Result<api::OperationListResponse> list_operations(const OperationFilter& filter);
  Result<api::OperationResponse> operation(const OperationId& id);
  Result<api::OperationListResponse> children(const OperationId& id);
  Result<api::EventsResponse> events(const OperationId& id, const EventFilter& filter);
  Result<api::OperationResponse> retry(const OperationId& id);
  // data.status says whether it is done ("cancelled") or still saving its checkpoint ("running"). The server
  // answers after at most 10 s: give this client a longer timeout than that.
  Result<api::CancelResponse> cancel(const OperationId& id, const api::CancelRequest& request);
  Result<api::ResumeOperationResponse> resume(const OperationId& id,
                                              const api::ResumeOperationRequest& request);
  Result<api::ResultsResponse> results(const OperationId& id);
  Result<api::MetricsResponse> metrics(const OperationId& id);
  Result<api::CheckpointResponse> checkpoint(const OperationId& id);
  Result<api::CheckpointsDeletedResponse> delete_checkpoint(const OperationId& id);
  Result<api::CheckpointListResponse> list_checkpoints(const CheckpointFilter& filter);
  Result<api::CheckpointStatsResponse> checkpoint_stats();
  // Without an age: the server's own.
  Result<api::CheckpointCleanupResponse> clean_up_checkpoints(std::optional<std::int64_t> max_age_days);
  Result<std::vector<api::WorkerInfo>> workers();

  // ---- for workers: every write names (attempt, worker_id), so repeating one is safe; kStale means stop
  // ----
  // `within`: instead of the client's timeout, for what a lease hangs on.
  Result<api::WorkerInfo> register_worker(const api::WorkerRegistration& registration,
                                          std::optional<Duration> within = {});
  Result<api::TrainingJob> job(const OperationId& id);
  Result<api::ClaimAnswer> claim(const OperationId& id, const api::ClaimRequest& request,
                                 std::optional<Duration> within = {});
  Result<api::HeartbeatAnswer> heartbeat(const OperationId& id, const api::HeartbeatRequest& request,
                                         std::optional<Duration> within = {});
  Result<api::CommitCheckpointAnswer> commit_checkpoint(const OperationId& id,
                                                        const api::CommitCheckpointRequest& request);
  Result<api::CommitCheckpointAnswer> rewind(const OperationId& id, const api::RewindRequest& request,
                                             std::optional<Duration> within = {});
  Result<api::AppliedAnswer> complete(const OperationId& id, const api::CompleteRequest& request);
  Result<api::AppliedAnswer> fail(const OperationId& id, const api::FailRequest& request);
  Result<api::AppliedAnswer> stopped(const OperationId& id, const api::StoppedRequest& request);

 private:
  struct Call {
    std::string method, path, body;
    std::string idempotency_key = {};  // not empty: may be repeated
    std::optional<Duration> within = {};
  };
  template <class Answer>
  Result<Answer> ask(const Call& call);
  Result<HttpAnswer> send(const Call& call);

  ServerAddress server_;
  Duration timeout_;
  HttpClient http_;
};

}  // namespace ktrdr::client
