#include "ktrdr/worker/server_link.h"

#include <algorithm>

namespace ktrdr::worker {
namespace {

// A server that is alive but busy answers within this time, however short the lease.
constexpr Duration kShortestPatience = std::chrono::milliseconds(250);

// Nobody listens here: every call fails as if the server were away, until the address can be found.
constexpr const char* kNowhere = "http://127.0.0.1:1";

}  // namespace

ServerLink::ServerLink(client::AddressOptions options, client::Environment environment,
                       std::vector<std::string> peers, Duration patience)
    : options_(std::move(options)),
      environment_(std::move(environment)),
      peers_(std::move(peers)),
      patience_(patience) {}

template <class Ask>
auto ServerLink::once(Ask ask) {
  const Client client = current();
  auto answer = ask(*client);
  if (answer.ok()) return answer;
  // Of several servers one may be of another store, and says nothing about ours.
  const bool is_a_stranger = answer.error().code == ErrorCode::kNotFound && !peers_.empty();
  if (is_a_stranger) answer = Error(ErrorCode::kUnavailable, answer.error().message);
  if (may_be_answered_later(answer.error())) turn_away_from(client);
  return answer;
}

template <class Ask>
auto ServerLink::of_any(Ask ask) {
  auto answer = once(ask);
  for (std::size_t others = peers_.size(); others > 0; --others) {
    if (answer.ok() || !may_be_answered_later(answer.error())) break;
    answer = once(ask);
  }
  return answer;
}

// A worker speaks every fifth of its lease. That and two more fifths for all servers but one, should they
// hang, leave two fifths of the lease for the one that answers.
Duration ServerLink::sign_of_life_within() const {
  const Duration interval(heartbeat_interval_ms_);
  if (interval <= Duration(0)) return patience_;
  const auto hanging = static_cast<Duration::rep>(std::max<std::size_t>(1, peers_.size()));
  return std::clamp(2 * interval / hanging, std::min(kShortestPatience, patience_), patience_);
}

ServerLink::Client ServerLink::current() {
  auto link = link_.lock();
  if (!link->client) {
    client::AddressOptions options = options_;
    if (link->server > 0) options.url = peers_[link->server - 1];
    auto address = client::find_server(options, environment_);
    link->client = std::make_shared<client::ApiClient>(
        address.ok() ? *address : client::ServerAddress{.url = kNowhere, .token = ""}, patience_);
  }
  return link->client;
}

// Only once for all whom it kept waiting: the last of them would turn away from the one that answers.
void ServerLink::turn_away_from(const Client& client) {
  auto link = link_.lock();
  if (link->client != client) return;
  link->client.reset();
  link->server = (link->server + 1) % (peers_.size() + 1);
}

std::string ServerLink::token() const {
  const auto address = client::find_server(options_, environment_);
  return address.ok() ? address->token : "";
}

// ---- the calls ----

Result<api::TrainingJob> ServerLink::job(const OperationId& id) {
  return once([&](client::ApiClient& api) { return api.job(id); });
}

Result<api::ClaimAnswer> ServerLink::claim(const OperationId& id, const api::ClaimRequest& request) {
  return of_any([&](client::ApiClient& api) { return api.claim(id, request, sign_of_life_within()); });
}

Result<api::HeartbeatAnswer> ServerLink::heartbeat(const OperationId& id,
                                                   const api::HeartbeatRequest& request) {
  return of_any([&](client::ApiClient& api) { return api.heartbeat(id, request, sign_of_life_within()); });
}

Result<api::CommitCheckpointAnswer> ServerLink::commit_checkpoint(
    const OperationId& id, const api::CommitCheckpointRequest& request) {
  return once([&](client::ApiClient& api) { return api.commit_checkpoint(id, request); });
}

Result<api::CommitCheckpointAnswer> ServerLink::rewind(const OperationId& id,
                                                       const api::RewindRequest& request) {
  return of_any([&](client::ApiClient& api) { return api.rewind(id, request, sign_of_life_within()); });
}

Result<api::AppliedAnswer> ServerLink::complete(const OperationId& id, const api::CompleteRequest& request) {
  return once([&](client::ApiClient& api) { return api.complete(id, request); });
}

Result<api::AppliedAnswer> ServerLink::fail(const OperationId& id, const api::FailRequest& request) {
  return once([&](client::ApiClient& api) { return api.fail(id, request); });
}

Result<api::AppliedAnswer> ServerLink::stopped(const OperationId& id, const api::StoppedRequest& request) {
  return once([&](client::ApiClient& api) { return api.stopped(id, request); });
}

Result<api::WorkerInfo> ServerLink::register_worker(const api::WorkerRegistration& registration) {
  auto info = of_any(
      [&](client::ApiClient& api) { return api.register_worker(registration, sign_of_life_within()); });
  if (info.ok()) heartbeat_interval_ms_ = info->heartbeat_interval_ms;
  return info;
}

}  // namespace ktrdr::worker
