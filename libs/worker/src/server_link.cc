#include "ktrdr/worker/server_link.h"

namespace ktrdr::worker {
namespace {

constexpr Duration kAnswerWithin = std::chrono::seconds(5);

// Nobody listens here: every call fails as if the server were away, until the address can be found.
constexpr const char* kNowhere = "http://127.0.0.1:1";

}  // namespace

bool is_about_the_way(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kUnauthorized ||
         error.code == ErrorCode::kForbidden;
}

ServerLink::ServerLink(client::AddressOptions options, client::Environment environment)
    : options_(std::move(options)), environment_(std::move(environment)) {}

std::shared_ptr<client::ApiClient> ServerLink::current() {
  auto client = client_.lock();
  if (!*client) {
    auto address = client::find_server(options_, environment_);
    *client = std::make_shared<client::ApiClient>(
        address.ok() ? *address : client::ServerAddress{.url = kNowhere, .token = ""}, kAnswerWithin);
  }
  return *client;
}

void ServerLink::forget() { client_.lock()->reset(); }

std::string ServerLink::token() const {
  const auto address = client::find_server(options_, environment_);
  return address.ok() ? address->token : "";
}

bool may_be_answered_later(const Error& error) {
  switch (error.code) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kIo:
    case ErrorCode::kInternal:
    case ErrorCode::kUnauthorized:  // a new token is found by the next look-up
    case ErrorCode::kForbidden:     // and a host name may be allowed again
      return true;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported:
    case ErrorCode::kNotFound:
    case ErrorCode::kCheckpointNotFound:
    case ErrorCode::kCheckpointCorrupted:
    case ErrorCode::kConflict:
    case ErrorCode::kStale:
    case ErrorCode::kPreconditionFailed:
    case ErrorCode::kTooLarge: return false;
  }
  return false;
}

}  // namespace ktrdr::worker
