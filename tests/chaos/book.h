// What the people of the chaos suite know together: which trainings are not done yet, who owned them once,
// and what was asked before and can be asked again. Safe to use from any thread.
#pragma once

#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ktrdr/core/ids.h"
#include "ktrdr/core/synchronized.h"

namespace ktrdr::chaos {

using Random = std::mt19937_64;

// A start or a resume that was accepted. The same request with the same key must get the same answer for
// ever.
struct OldRequest {
  std::string path, body, key;
  std::string answer;  // what of it must be the same: see essence_of()
};

struct OldOwner {
  OperationId operation;
  Attempt attempt = 0;
  std::string worker;
};

class Book {
 public:
  void open(const OperationId& id) { state_.lock()->open.insert(id.value); }
  void close(const OperationId& id) { state_.lock()->open.erase(id.value); }
  std::vector<OperationId> open_ones() {
    std::vector<OperationId> ids;
    auto state = state_.lock();
    for (const std::string& id : state->open) ids.push_back({id});
    return ids;
  }

  void saw_owner(const OldOwner& owner) {
    auto state = state_.lock();
    auto& owners = state->owners;
    if (owners.empty() || owners.back().operation != owner.operation ||
        owners.back().attempt != owner.attempt)
      owners.push_back(owner);
  }
  void saw_attempt(const OperationId& id, Attempt attempt) {
    auto& newest = state_.lock()->newest[id.value];
    newest = std::max(newest, attempt);
  }
  void remember(const OldRequest& request) { state_.lock()->requests.push_back(request); }

  // Of an attempt that is over: there is a newer one.
  std::optional<OldOwner> superseded_owner(Random& random) {
    auto state = state_.lock();
    std::vector<OldOwner> superseded;
    for (const OldOwner& owner : state->owners) {
      if (state->newest[owner.operation.value] > owner.attempt) superseded.push_back(owner);
    }
    return one_of(superseded, random);
  }
  std::optional<OldRequest> old_request(Random& random) { return one_of(state_.lock()->requests, random); }

 private:
  // Mostly a young one: that is where the answer might still be on its way.
  template <class T>
  static std::optional<T> one_of(const std::vector<T>& list, Random& random) {
    if (list.empty()) return std::nullopt;
    const std::size_t youngest = list.size() - 1;
    const std::size_t span = random() % 2 == 0 ? std::min<std::size_t>(list.size(), 5) : list.size();
    return list[youngest - random() % span];
  }

  struct State {
    std::set<std::string> open;
    std::vector<OldOwner> owners;
    std::map<std::string, Attempt> newest;
    std::vector<OldRequest> requests;
  };
  Synchronized<State> state_;
};

}  // namespace ktrdr::chaos
