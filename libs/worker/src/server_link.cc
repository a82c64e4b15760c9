#include "ktrdr/worker/server_link.h"

namespace ktrdr::worker {
namespace {

constexpr Duration kAnswerWithin = std::chrono::seconds(5);

// Nobody listens here: every call fails as if the server were away, until the address can be found.
constexpr const char* kNowhere = "http://127.0.0.1:1";

bool is_about_the_way(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kUnauthorized ||
         error.code == ErrorCode::kForbidden;
}

}  // namespace

ServerLink::ServerLink(client::AddressOptions options, client::Environment environment,
                       std::vector<std::string> peers)
    : options_(std::move(options)), environment_(std::move(environment)), peers_(std::move(peers)) {}

template <class Ask>
auto ServerLink::once(Ask ask) {
  auto answer = ask(*current());
  if (answer.ok()) return answer;
  // Of several servers one may be of another store, and says nothing about ours.
  const bool is_a_stranger = answer.error().code == ErrorCode::kNotFound && !peers_.empty();
  if (is_a_stranger) answer = Error(ErrorCode::kUnavailable, answer.error().message);
  if (is_about_the_way(answer.error())) forget();
  return answer;
}

std::shared_ptr<client::ApiClient> ServerLink::current() {
  auto link = link_.lock();
  if (!link->client) {
    client::AddressOptions options = options_;
    if (link->server > 0) options.url = peers_[link->server - 1];
    auto address = client::find_server(options, environment_);
    link->client = std::make_shared<client::ApiClient>(
        address.ok() ? *address : client::ServerAddress{.url = kNowhere, .token = ""}, kAnswerWithin);
  }
  return link->client;
}

void ServerLink::forget() {
  auto link = link_.lock();
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
  return once([&](client::ApiClient& api) { return api.claim(id, request); });
}

Result<api::HeartbeatAnswer> ServerLink::heartbeat(const OperationId& id,
                                                   const api::HeartbeatRequest& request) {
  return once([&](client::ApiClient& api) { return api.heartbeat(id, request); });
}

Result<api::CommitCheckpointAnswer> ServerLink::commit_checkpoint(
    const OperationId& id, const api::CommitCheckpointRequest& request) {
  return once([&](client::ApiClient& api) { return api.commit_checkpoint(id, request); });
}

Result<api::CommitCheckpointAnswer> ServerLink::rewind(const OperationId& id,
                                                       const api::RewindRequest& request) {
  return once([&](client::ApiClient& api) { return api.rewind(id, request); });
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
  return once([&](client::ApiClient& api) { return api.register_worker(registration); });
}

}  // namespace ktrdr::worker
