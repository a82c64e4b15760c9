// The worker's way to its server, which may move (another port after a restart) or be away for any time.
// Silence never stops a worker: whoever calls through the link decides how long to go on asking. Safe to call
// from any thread.
#pragma once

#include <memory>

#include "ktrdr/client/api_client.h"
#include "ktrdr/client/server_address.h"
#include "ktrdr/core/synchronized.h"

namespace ktrdr::worker {

// The server can't be reached, or not with what we know of it: address and token are looked up anew.
bool is_about_the_way(const Error& error);

class ServerLink {
 public:
  // Looks the address up anew whenever the server can't be reached.
  ServerLink(client::AddressOptions options, client::Environment environment);

  // Calls `ask(ApiClient&)` once.
  template <class Ask>
  auto once(Ask ask) {
    auto answer = ask(*current());
    if (!answer.ok() && is_about_the_way(answer.error())) forget();
    return answer;
  }

  std::string token() const;

 private:
  std::shared_ptr<client::ApiClient> current();
  void forget();

  const client::AddressOptions options_;
  const client::Environment environment_;
  Synchronized<std::shared_ptr<client::ApiClient>> client_;
};

// The server is away, or has trouble of its own (a full disk): the same question may be answered later.
// Everything else is an answer.
bool may_be_answered_later(const Error& error);

}  // namespace ktrdr::worker
