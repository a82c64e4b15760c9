// Finds operations whose worker has fallen silent (rule 7). Pure: it is told what it sees and when.
//
// It acts only on what it has itself watched for a whole lease on the monotonic clock. Clock jumps, a
// restart, a freeze of this process or an outage of the store therefore never fail a healthy training: after
// a gap it watches anew.
#pragma once

#include <map>
#include <vector>

#include "ktrdr/core/clock.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::services {

// Used by one thread.
class LeaseWatch {
 public:
  explicit LeaseWatch(Duration lease) : lease_(lease) {}

  // All running, owned rows as they are at `now`. Returns those that stood still for a whole lease.
  std::vector<storage::Pulse> observe(const std::vector<storage::Pulse>& pulses, Duration now);

  // How many have stood still for half a lease at the last look.
  std::int64_t suspects() const { return suspects_; }

  // Of the one that has stood still for the longest time, at the last look; 0 when nobody owns anything.
  Duration longest_silence() const { return longest_silence_; }

  // What was seen so far says nothing any more (the store could not be read).
  void forget() { seen_.clear(); }

  // How often observe() is to be called. Each look may come that much too late, once for the last heartbeat
  // and once for the end of the lease.
  Duration interval() const { return lease_ / 20; }

  // When the store takes longer for a heartbeat, a row that stands still says nothing about its worker.
  Duration longest_heartbeat_in_store() const { return lease_ / 8; }

  // A longer time between two looks counts as a freeze of our own.
  Duration longest_gap() const { return lease_ / 4 + std::chrono::milliseconds(250); }

 private:
  struct Seen {
    Attempt attempt = 0;
    std::string owner;
    std::int64_t heartbeat_sequence = 0;
    Duration since{0};
  };

  bool stood_still(Seen& seen, const storage::Pulse& pulse, Duration now) const;

  const Duration lease_;
  std::map<OperationId, Seen> seen_;
  Duration last_look_{0};
  std::int64_t suspects_ = 0;
  Duration longest_silence_{0};
};

// What a person reads on an operation that lost its worker: who, since when, and where to resume from.
std::string lease_lapsed_message(const storage::Pulse& pulse, Duration lease);

}  // namespace ktrdr::services
