#include "ktrdr/services/lease_watch.h"

#include <algorithm>
#include <cstdio>

namespace ktrdr::services {

std::vector<storage::Pulse> LeaseWatch::observe(const std::vector<storage::Pulse>& pulses, Duration now) {
  // A gap means that we did not watch: this process was frozen or starved, and perhaps so were its sockets.
  if (now - last_look_ > longest_gap()) forget();
  last_look_ = now;

  std::map<OperationId, Seen> still_there;
  std::vector<storage::Pulse> silent;
  suspects_ = 0;
  longest_silence_ = Duration(0);
  for (const storage::Pulse& pulse : pulses) {
    const auto before = seen_.find(pulse.id);
    Seen seen = before == seen_.end() ? Seen{.attempt = -1} : before->second;
    if (stood_still(seen, pulse, now)) {
      if (now - seen.since >= lease_ / 2) ++suspects_;
      if (now - seen.since >= lease_) silent.push_back(pulse);
    }
    longest_silence_ = std::max(longest_silence_, now - seen.since);
    still_there.emplace(pulse.id, std::move(seen));
  }
  seen_ = std::move(still_there);
  return silent;
}

// False, and watched from now on, when anything moved.
bool LeaseWatch::stood_still(Seen& seen, const storage::Pulse& pulse, Duration now) const {
  const std::string owner = pulse.owner ? pulse.owner->value : "";
  const bool same = seen.attempt == pulse.attempt && seen.owner == owner &&
                    seen.heartbeat_sequence == pulse.heartbeat_sequence;
  if (!same) seen = {pulse.attempt, owner, pulse.heartbeat_sequence, now};
  return same;
}

std::string lease_lapsed_message(const storage::Pulse& pulse, Duration lease) {
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.3g", std::chrono::duration<double>(lease).count());
  std::string message = "Worker " + (pulse.owner_name.empty() ? std::string("(unnamed)") : pulse.owner_name);
  if (pulse.owner) message += " (" + pulse.owner->value + ")";
  message += " fell silent for " + std::string(seconds) + " s";
  if (pulse.last_heartbeat_at) message += "; its last heartbeat was at " + *pulse.last_heartbeat_at;
  message += pulse.current_checkpoint ? ". Resume from checkpoint " + pulse.current_checkpoint->to_string() +
                                            " with: ktrdr resume " + pulse.id.value
                                      : ". There is no checkpoint to resume from.";
  return message;
}

}  // namespace ktrdr::services
