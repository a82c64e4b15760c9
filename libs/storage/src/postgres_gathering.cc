#include "postgres_gathering.h"

#include <algorithm>
#include <utility>

namespace ktrdr::storage {

void PostgresGathering::Question::wait() {
  std::unique_lock hold(mutex);
  changed.wait(hold, [this] { return is_woken; });
}

void PostgresGathering::Question::wake(bool over) {
  {
    const std::lock_guard hold(mutex);
    is_over = over;
    is_woken = true;
  }
  changed.notify_one();
}

std::optional<std::vector<Rows>> PostgresGathering::ask(const std::vector<Query>& queries) {
  const auto mine = std::make_shared<Question>(queries);
  if (!may_ask(mine)) mine->wait();
  if (!mine->is_over) ask_for_everybody(mine);
  return std::move(mine->answer);
}

// If not, it waits with the others.
bool PostgresGathering::may_ask(const std::shared_ptr<Question>& mine) {
  auto state = state_.lock();
  if (state->asking < kMostAsking) return ++state->asking;
  state->waiting.push_back(mine);
  return false;
}

void PostgresGathering::ask_for_everybody(const std::shared_ptr<Question>& mine) {
  Questions batch = std::exchange(state_.lock()->waiting, {});
  batch.push_back(mine);
  answer(batch);
  let_the_next_ask();
  for (const auto& question : batch) question->wake(true);
}

void PostgresGathering::let_the_next_ask() {
  auto state = state_.lock();
  if (state->waiting.empty()) {
    --state->asking;
    return;
  }
  const auto next = state->waiting.front();
  state->waiting.erase(state->waiting.begin());
  next->wake(false);
}

void PostgresGathering::answer(const Questions& batch) {
  auto lease = readers_.take(Duration(0));
  if (!lease.ok()) return;
  const auto connection = lease->open();
  if (!connection.ok()) return;
  const auto groups = equal_ones(batch);
  std::vector<Query> all;
  for (const Questions& group : groups)
    all.insert(all.end(), group.front()->queries.begin(), group.front()->queries.end());
  const auto answers = (*connection)->select_alone(all);
  if (!answers.ok()) return;
  auto next = answers->begin();
  for (const Questions& group : groups) {
    const auto end = next + static_cast<std::ptrdiff_t>(group.front()->queries.size());
    for (const auto& question : group) question->answer.emplace(next, end);
    next = end;
  }
}

// Many look at one operation: while it is resumed, or as it trains.
std::vector<PostgresGathering::Questions> PostgresGathering::equal_ones(const Questions& batch) {
  std::vector<Questions> groups;
  for (const auto& question : batch) {
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const Questions& group) {
      return group.front()->queries == question->queries;
    });
    if (same != groups.end()) same->push_back(question);
    else groups.push_back({question});
  }
  return groups;
}

}  // namespace ktrdr::storage
