// The worker's way to its server, which may move (another port after a restart) or be away for any time. With
// several servers on one store any of them will do: when one is away, the next is asked. One that does not
// know the operation is then of another store: that counts as being away too.
//
// What a lease hangs on (signs of life, a claim, the rewind that follows it) is asked of each server in turn
// until one answers, and waits for each only so long that a lease outlasts all but one of them hanging.
// Safe to call from any thread.
#pragma once

#include <atomic>
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
  // `peers` are the URLs of further servers of the same store; they take the same token. `patience`: how long
  // to wait for an answer that no lease hangs on.
  ServerLink(client::AddressOptions options, client::Environment environment,
             std::vector<std::string> peers = {}, Duration patience = std::chrono::seconds(5));

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
  using Client = std::shared_ptr<client::ApiClient>;

  template <class Ask>
  auto once(Ask ask);  // ask(ApiClient&)
  template <class Ask>
  auto of_any(Ask ask);  // the same of one server after the other, until one of them answers
  Client current();
  void turn_away_from(const Client& client);
  Duration sign_of_life_within() const;

  struct Link {
    Client client;
    std::size_t server = 0;  // 0: the one of the options; then the peers
  };

  const client::AddressOptions options_;
  const client::Environment environment_;
  const std::vector<std::string> peers_;
  const Duration patience_;
  std::atomic<std::int64_t> heartbeat_interval_ms_ =
      0;  // a fifth of the lease or less; 0: nobody said so yet
  Synchronized<Link> link_;
};

}  // namespace ktrdr::worker
