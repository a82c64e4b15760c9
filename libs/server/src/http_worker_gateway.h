// WorkerGateway over HTTP, at the address the worker registered from.
#pragma once

#include <string>

#include "ktrdr/client/worker_client.h"
#include "ktrdr/services/worker_gateway.h"

namespace ktrdr::server {

class HttpWorkerGateway final : public services::WorkerGateway {
 public:
  explicit HttpWorkerGateway(std::string token) : client_(std::move(token)) {}

  Result<void> start(const api::WorkerInfo& worker, const api::TrainingStartRequest& request) override;
  Result<void> resume(const api::WorkerInfo& worker, const api::TrainingResumeRequest& request) override;
  Result<void> cancel(const api::WorkerInfo& worker, const OperationId& operation) override;

 private:
  client::WorkerClient client_;
};

}  // namespace ktrdr::server
