// The worker's way to its server, which may move (another port after a restart) or be away for any time. With
// several servers on one store any of them will do: when one is away, the next is asked. One that does not
// know the operation is then of another store: that counts as being away too.
// Safe to call from any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ktrdr/client/api_client.h"
#include "ktrdr/client/server_address.h"
#include "ktrdr/core/synchronized.h"
#include "ktrdr/worker/server_api.h"

namespace ktrdr::worker {

class ServerLink final : public ServerApi {
 public:
  // Looks address and token up anew whenever the server can't be reached, or not with what we know of it.
  // `peers` are the URLs of further servers of the same store; they take the same token.
  ServerLink(client::AddressOptions options, client::Environment environment,
             std::vector<std::string> peers = {});

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

  struct Link {
    std::shared_ptr<client::ApiClient> client;
    std::size_t server = 0;  // 0: the one of the options; then the peers
  };

  const client::AddressOptions options_;
  const client::Environment environment_;
  const std::vector<std::string> peers_;
  Synchronized<Link> link_;
};

}  // namespace ktrdr::worker
