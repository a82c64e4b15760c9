// What both clients do with an answer: a body of the right shape is a value, an error body is the Error that
// the peer returned, everything else is as good as no answer.
#pragma once

#include <string>

#include "ktrdr/api/json.h"
#include "ktrdr/client/http_client.h"

namespace ktrdr::client::internal {

// Who is asked, for messages: "ktrdr server" at "http://127.0.0.1:8000".
struct Peer {
  std::string name, url;
  std::string when_unreachable;  // what to do about it: "Is `ktrdr serve` running?"
};

Error error_of(const Peer& peer, const HttpAnswer& answer);
Error cannot_reach(const Peer& peer, Error reason);
Error cannot_read(const Peer& peer, const Error& reason);

inline bool is_success(const HttpAnswer& answer) { return answer.status >= 200 && answer.status < 300; }

template <class Answer>
Result<Answer> read_answer(const Peer& peer, const HttpAnswer& answer) {
  if (!is_success(answer)) return error_of(peer, answer);
  Result<Answer> read = api::from_json<Answer>(answer.body, api::UnknownKeys::kIgnore);
  if (!read.ok()) return cannot_read(peer, read.error());
  return read;
}

}  // namespace ktrdr::client::internal
