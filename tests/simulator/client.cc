#include "client.h"

namespace ktrdr::simulator {
namespace {

constexpr Duration kWaitForCancel = std::chrono::seconds(10);
constexpr int kMostRetries = 2;
constexpr Duration kForEver = std::chrono::hours(1000);

std::int64_t recipe_number(const OperationId& id) {
  return static_cast<std::int64_t>(id.value.back()) % static_cast<std::int64_t>(recipes().size());
}

}  // namespace

Client::Client(Cluster& cluster, int operations)
    : cluster_(cluster), world_(cluster.world), process_(std::make_shared<Process>(Process{"client"})) {
  for (int i = 0; i < operations; ++i) {
    // The last digit chooses the recipe.
    ids_.push_back({"op-" + std::to_string(i + 1) + "-" + std::to_string(world_.dice.between(0, 9))});
  }
}

void Client::begin() {
  for (const OperationId& id : ids_) {
    world_.scheduler.spawn(process_, [this, id] {
      world_.scheduler.sleep(world_.dice.duration(Duration(0), std::chrono::seconds(8)));
      start(id);
      while (world_.faults.on) act(id);
    });
  }
  world_.scheduler.spawn(process_, [this] {
    while (world_.faults.on) {
      if (acknowledged_.empty()) world_.scheduler.sleep(std::chrono::seconds(1));
      else act(world_.dice.pick(acknowledged_));
    }
  });
}

template <class Handle>
auto Client::ask(Handle handle) -> decltype(handle(std::declval<ServerLife&>())) {
  return cluster_.network.call(*world_.dice.pick(cluster_.servers), handle);
}

// Asked until it is answered, with the same key; then once more with another key, which is refused.
void Client::start(const OperationId& id) {
  const Recipe& recipe = recipes()[static_cast<std::size_t>(recipe_number(id))];
  const storage::NewOperation operation{.id = id, .request = recipe.request};
  const std::optional key = storage::IdempotencyKey{"start-" + id.value, "start"};
  while (true) {
    const auto created = ask([operation, key](ServerLife& server) { return server.create(operation, key); });
    if (created.ok()) break;
    world_.scheduler.sleep(std::chrono::seconds(1));
  }
  acknowledged_.push_back(id);
  ++started_;
  if (world_.dice.chance(0.2)) {
    const std::optional other = storage::IdempotencyKey{"start-" + id.value, "something else"};
    static_cast<void>(
        ask([operation, other](ServerLife& server) { return server.create(operation, other); }));
  }
  if (world_.dice.chance(0.2)) {
    static_cast<void>(
        ask([operation](ServerLife& server) { return server.create(operation, std::nullopt); }));
  }
}

void Client::act(OperationId id) {
  world_.scheduler.sleep(world_.dice.duration(Duration(200), std::chrono::seconds(9)));
  const std::int64_t what = world_.dice.between(0, 99);
  if (what < 22) cancel(id);
  else if (what < 85) resume_somehow(id);
  else if (what < 88) delete_checkpoints(id);
  else if (what < 93) retry(id);
  else look(id);
}

// What a person read a while ago, now and then.
storage::Precondition Client::some_precondition(const OperationId& id) {
  if (world_.dice.chance(0.7)) return {};
  const auto row = ask([id](ServerLife& server) { return server.operations.get(id); });
  world_.scheduler.sleep(world_.dice.duration(Duration(0), std::chrono::seconds(3)));
  return row.ok() ? storage::Precondition{row->version} : storage::Precondition{};
}

void Client::cancel(const OperationId& id) {
  const storage::Precondition precondition = some_precondition(id);
  static_cast<void>(ask([id, precondition, this](ServerLife& server) -> Result<api::Operation> {
    TRY_ASSIGN(const api::Operation requested,
               server.operations.cancel(id, "no longer wanted", precondition));
    const auto answer = std::make_shared<std::optional<Result<api::Operation>>>();
    server.operations.when_finished(requested, kWaitForCancel,
                                    [answer](Result<api::Operation> then) { *answer = std::move(then); });
    world_.scheduler.wait(kForEver, [answer] { return answer->has_value(); });
    return **answer;
  }));
}

Result<api::ResumeOperationData> Client::resume(const OperationId& id,
                                                const storage::Precondition& precondition,
                                                const std::optional<storage::IdempotencyKey>& key) {
  return ask([id, precondition, key, this](ServerLife& server) -> Result<api::ResumeOperationData> {
    const auto answer = std::make_shared<std::optional<Result<api::ResumeOperationData>>>();
    server.operations.resume(id, {}, precondition, key, [answer](Result<api::ResumeOperationData> resumed) {
      *answer = std::move(resumed);
    });
    world_.scheduler.wait(kForEver, [answer] { return answer->has_value(); });
    return **answer;
  });
}

Result<api::ResumeOperationData> Client::resume(const OperationId& id) {
  return resume(id, {}, std::nullopt);
}

void Client::resume_somehow(const OperationId& id) {
  const std::int64_t how = world_.dice.between(0, 9);
  if (how < 4 || keys_.empty()) {
    keys_.emplace_back(id, storage::IdempotencyKey{"resume-" + std::to_string(next_key_++), "resume"});
    static_cast<void>(resume(id, some_precondition(id), keys_.back().second));
  } else if (how < 6) {  // again, maybe much later
    const auto [same_id, key] = world_.dice.pick(keys_);
    static_cast<void>(resume(same_id, {}, key));
  } else if (how == 6) {  // the same key for another request
    storage::IdempotencyKey key = world_.dice.pick(keys_).second;
    key.request_hash = "another";
    static_cast<void>(resume(id, {}, key));
  } else {
    static_cast<void>(resume(id, some_precondition(id), std::nullopt));
  }
}

void Client::delete_checkpoints(const OperationId& id) {
  const storage::Precondition precondition = some_precondition(id);
  static_cast<void>(
      ask([id, precondition](ServerLife& server) { return server.checkpoints.remove(id, precondition); }));
}

// From the beginning, as a new operation.
void Client::retry(const OperationId& id) {
  if (retries_ == kMostRetries) return;
  const std::string number = std::to_string(++retries_);
  const OperationId new_id{"op-retry-" + number};
  const std::optional key = storage::IdempotencyKey{"retry-" + number, "retry " + id.value};
  const storage::Precondition precondition = some_precondition(id);
  for (int i = 0; i < 3; ++i) {
    const auto begun = ask([id, new_id, precondition, key](ServerLife& server) {
      return server.retry(id, new_id, precondition, key);
    });
    if (begun.ok()) return acknowledged_.push_back(new_id);
    world_.scheduler.sleep(std::chrono::seconds(1));
  }
}

void Client::look(const OperationId& id) {
  const auto row = ask([id](ServerLife& server) { return server.operations.get(id); });
  if (!row.ok() && row.error().code == ErrorCode::kNotFound)
    world_.violate(id.value + " was acknowledged and is not found");
}

}  // namespace ktrdr::simulator
