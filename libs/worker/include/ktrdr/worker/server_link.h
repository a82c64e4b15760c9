// The worker's way to its server, which may move (another port after a restart) or be away for any time.
// Safe to call from any thread.
#pragma once

#include <memory>
#include <string>

#include "ktrdr/client/api_client.h"
#include "ktrdr/client/server_address.h"
#include "ktrdr/core/synchronized.h"
#include "ktrdr/worker/server_api.h"

namespace ktrdr::worker {

class ServerLink final : public ServerApi {
 public:
  // Looks address and token up anew whenever the server can't be reached, or not with what we know of it.
  ServerLink(client::AddressOptions options, client::Environment environment);

  Result<api::TrainingJob> job(const OperationId& id) override;
  Result<api::ClaimAnswer> claim(const OperationId& id, const api::ClaimRequest& request) override;
  Result<api::HeartbeatAnswer> heartbeat(const OperationId& id,
                                         const api::HeartbeatRequest& request) override;
  Result<api::CommitCheckpointAnswer> commit_checkpoint(const OperationId& id,
                                                        const api::CommitCheckpointRequest& request) override;
  Result<api::CommitCheckpointAnswer> rewind(const OperationId& id,
                                             const api::RewindRequest& request) override;
  Result<api::AppliedAnswer> complete(const OperationId& id, const api::CompleteRequest& request) override;
  Result<api::AppliedAnswer> fail(const OperationId& id, const api::FailRequest& request) override;
  Result<api::AppliedAnswer> stopped(const OperationId& id, const api::StoppedRequest& request) override;
  Result<api::WorkerInfo> register_worker(const api::WorkerRegistration& registration);

  std::string token() const;

 private:
  template <class Ask>
  auto once(Ask ask);  // ask(ApiClient&)
  std::shared_ptr<client::ApiClient> current();
  void forget();

  const client::AddressOptions options_;
  const client::Environment environment_;
  Synchronized<std::shared_ptr<client::ApiClient>> client_;
};

}  // namespace ktrdr::worker
