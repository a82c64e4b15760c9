#include "ktrdr/services/finish_waiters.h"

#include <utility>

namespace ktrdr::services {

void FinishWaiters::add(const OperationId& id, Attempt attempt, Duration timeout, Then then) {
  waiters_.lock()->emplace(id, Waiter{attempt, clock_.monotonic() + timeout, std::move(then)});
}

std::vector<OperationId> FinishWaiters::awaited() {
  std::vector<OperationId> ids;
  auto waiters = waiters_.lock();
  for (auto it = waiters->begin(); it != waiters->end(); it = waiters->upper_bound(it->first))
    ids.push_back(it->first);
  return ids;
}

void FinishWaiters::tell(const OperationId& id, const Row& now) {
  std::vector<std::pair<Then, Row>> answers;
  {
    auto waiters = waiters_.lock();
    for (auto [it, end] = waiters->equal_range(id); it != end;) {
      auto answer = answer_to(it->second, now);
      if (answer) answers.emplace_back(std::move(it->second.then), *std::move(answer));
      it = answer ? waiters->erase(it) : std::next(it);
    }
  }
  for (auto& [then, answer] : answers) then(std::move(answer));
}

std::optional<FinishWaiters::Row> FinishWaiters::answer_to(const Waiter& waiter, const Row& now) const {
  if (now.ok() && now->attempt < waiter.attempt) return std::nullopt;  // read before the resume: out of date
  if (now.ok() && now->attempt > waiter.attempt) {
    api::Operation ended = *now;
    ended.status = api::OperationStatus::kCancelled;
    return ended;
  }
  const bool has_ended = now.ok() && is_finished(now->status);
  if (has_ended || clock_.monotonic() >= waiter.deadline) return now;
  return std::nullopt;
}

}  // namespace ktrdr::services
