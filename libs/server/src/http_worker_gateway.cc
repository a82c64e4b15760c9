#include "http_worker_gateway.h"

namespace ktrdr::server {
namespace {

template <class Answer>
Result<void> only_success(const Result<Answer>& answer) {
  if (!answer.ok()) return answer.error();
  return {};
}

}  // namespace

Result<void> HttpWorkerGateway::start(const api::WorkerInfo& worker,
                                      const api::TrainingStartRequest& request) {
  return only_success(client_.start({worker.endpoint_url}, request));
}

Result<void> HttpWorkerGateway::resume(const api::WorkerInfo& worker,
                                       const api::TrainingResumeRequest& request) {
  return only_success(client_.resume({worker.endpoint_url}, request));
}

Result<void> HttpWorkerGateway::cancel(const api::WorkerInfo& worker, const OperationId& operation) {
  return client_.cancel({worker.endpoint_url}, operation);
}

}  // namespace ktrdr::server
