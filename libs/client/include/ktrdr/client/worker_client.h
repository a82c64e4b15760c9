// A worker as the server sees it. The endpoint is the address from which the worker registered; the caller
// has checked it. Errors are the worker's own: kCheckpointNotFound, kCheckpointCorrupted, kConflict (busy or
// not claimable), kUnavailable (no answer).
//
// Safe to call from several threads; one is enough for all workers.
#pragma once

#include <string>

#include "ktrdr/api/operation.h"
#include "ktrdr/api/worker.h"
#include "ktrdr/client/http_client.h"
#include "ktrdr/core/ids.h"

namespace ktrdr::client {

struct WorkerEndpoint {
  std::string url;  // "http://10.0.0.7:5003"
};

class WorkerClient {
 public:
  // `token` is the installation's bearer token, empty for none. `timeout` bounds every call from start to
  // end.
  explicit WorkerClient(std::string token, Duration timeout = Duration(5'000));

  Result<api::WorkerHealth> health(const WorkerEndpoint& worker);
  Result<api::TrainingStartedResponse> start(const WorkerEndpoint& worker,
                                             const api::TrainingStartRequest& request);
  Result<api::TrainingStartedResponse> resume(const WorkerEndpoint& worker,
                                              const api::TrainingResumeRequest& request);
  Result<void> cancel(const WorkerEndpoint& worker, const OperationId& id);

 private:
  struct Call {
    std::string method, path, body;
  };
  Result<HttpAnswer> send(const WorkerEndpoint& worker, const Call& call);
  template <class Answer>
  Result<Answer> ask(const WorkerEndpoint& worker, const Call& call);

  std::string token_;
  Duration timeout_;
  HttpClient http_;
};

}  // namespace ktrdr::client
