#include "ktrdr/storage/memory_repository.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "ktrdr/core/synchronized.h"
#include "memory_entry.h"
#include "refusals.h"

namespace ktrdr::storage {
namespace {

using api::OperationStatus;
using api::Phase;

struct Answered {
  std::string kind, request_hash;
  OperationId id;
  api::Operation answer;
  std::int64_t wall_ms = 0;
};

struct Tables {
  std::map<OperationId, Entry> operations;
  std::map<std::string, Answered> answered;
};

constexpr std::int64_t kLongestPage = 1000;

PageKey place_of(const api::Operation& operation) { return {operation.created_at, operation.operation_id}; }
PageKey place_of(const OperationCheckpoint& current) {
  return {current.checkpoint.created_at, current.operation.value};
}

bool is_newer(const PageKey& a, const PageKey& b) {
  return std::tie(a.created_at, a.operation_id) > std::tie(b.created_at, b.operation_id);
}

bool matches(const api::Operation& operation, const ListQuery& query) {
  return (!query.status || operation.status == *query.status) &&
         (!query.operation_type || operation.operation_type == *query.operation_type) &&
         (!query.worker || operation.worker_id == query.worker->value) &&
         (!query.active_only || !is_finished(operation.status));
}

// Sorts, and keeps the page that follows `after`; answers where the next one starts.
template <class Item>
std::optional<PageKey> cut(std::vector<Item>& items, const std::optional<PageKey>& after, std::int64_t offset,
                           std::int64_t limit) {
  std::sort(items.begin(), items.end(),
            [](const Item& a, const Item& b) { return is_newer(place_of(a), place_of(b)); });
  if (after) std::erase_if(items, [&](const Item& item) { return !is_newer(*after, place_of(item)); });
  const auto size = static_cast<std::int64_t>(items.size());
  const std::int64_t first = std::clamp<std::int64_t>(offset, 0, size);
  const std::int64_t last = first + std::clamp<std::int64_t>(limit, 0, std::min(kLongestPage, size - first));
  items = std::vector<Item>(items.begin() + first, items.begin() + last);
  if (last == size || items.empty()) return std::nullopt;
  return place_of(items.back());
}

bool allows(const Precondition& precondition, const api::Operation& operation) {
  return precondition.if_version.value_or(operation.version) == operation.version;
}

class MemoryRepository final : public OperationsRepository {
 public:
  explicit MemoryRepository(Clock& clock) : clock_(clock) {}

  Result<std::optional<api::Operation>> created_before(const IdempotencyKey& key) override {
    auto tables = tables_.lock();
    return answered_before(*tables, key, "create", std::nullopt);
  }

  Result<Created> create(const NewOperation& operation, const std::optional<IdempotencyKey>& key) override {
    auto tables = tables_.lock();
    TRY_ASSIGN(const auto before, answered_before(*tables, key, "create", std::nullopt));
    if (before) return Created{*before, true};
    if (tables->operations.contains(operation.id)) return refuse_existing(operation.id);
    Entry entry = new_entry(operation);
    entry.append(event_of_create(entry.stored), now());
    const api::Operation answer = entry.whole();
    tables->operations.emplace(operation.id, std::move(entry));
    remember(*tables, key, "create", operation.id, answer);
    return Created{answer, false};
  }

  Result<api::Operation> get(const OperationId& id) override {
    return at<api::Operation>(id, [](Entry& entry) { return entry.whole(); });
  }

  Result<api::TrainingJob> job(const OperationId& id) override {
    return at<api::TrainingJob>(id, [&](Entry& entry) {
      return api::TrainingJob{.operation_id = id.value,
                              .attempt = entry.row().attempt,
                              .status = entry.row().status,
                              .claimed = entry.stored.is_claimed(),
                              .progress = entry.row().progress,
                              .request = entry.request,
                              .checkpoints = newest_first(entry)};
    });
  }

  Result<OperationPage> list(const ListQuery& query) override {
    auto tables = tables_.lock();
    OperationPage page;
    std::vector<api::Operation> found;
    for (const auto& [id, entry] : tables->operations) {
      if (!is_finished(entry.stored.operation.status)) ++page.active_count;
      if (matches(entry.stored.operation, query)) found.push_back(entry.stored.operation);
    }
    page.total_count = static_cast<std::int64_t>(found.size());
    page.next = cut(found, query.after, query.offset, query.limit);
    page.operations = std::move(found);
    return page;
  }

  Result<std::vector<api::Operation>> children(const OperationId& id) override {
    auto tables = tables_.lock();
    if (!tables->operations.contains(id)) return refuse_unknown(id);
    std::vector<api::Operation> children;
    for (const auto& [child_id, entry] : tables->operations) {
      if (entry.stored.operation.parent_operation_id == id.value) children.push_back(entry.stored.operation);
    }
    std::sort(children.begin(), children.end(),
              [](const auto& a, const auto& b) { return is_newer(place_of(b), place_of(a)); });
    return children;
  }

  Result<Created> retry(const OperationId& id, const OperationId& new_id, const Precondition& precondition,
                        const std::optional<IdempotencyKey>& key) override {
    auto tables = tables_.lock();
    TRY_ASSIGN(const auto before, answered_before(*tables, key, "retry", id));
    if (before) return Created{*before, true};
    const auto found = tables->operations.find(id);
    if (found == tables->operations.end()) return refuse_unknown(id);
    Entry& entry = found->second;
    const bool may_be_retried = is_resumable(entry.row().status) && allows(precondition, entry.row());
    if (!may_be_retried || tables->operations.contains(new_id)) {
      return refuse_retry(entry.stored, new_id, precondition);
    }
    Entry copy = new_entry({new_id, entry.row().operation_type, entry.row().metadata, entry.request});
    copy.request.allow_changes = false;
    copy.row().parent_operation_id = id.value;
    copy.append(event_of_create(copy.stored), now());
    const api::Operation answer = copy.whole();
    tables->operations.emplace(new_id, std::move(copy));
    remember(*tables, key, "retry", id, answer);
    return Created{answer, false};
  }

  Result<Resumed> try_resume(const OperationId& id, bool allow_changes, const Precondition& precondition,
                             const std::optional<IdempotencyKey>& key) override {
    auto tables = tables_.lock();
    TRY_ASSIGN(const auto before, answered_before(*tables, key, "resume", id));
    if (before) return Resumed{*before, before->checkpoint.value(), true};
    const auto found = tables->operations.find(id);
    if (found == tables->operations.end()) return refuse_unknown(id);
    Entry& entry = found->second;
    if (!is_resumable(entry.row().status) || !entry.stored.checkpoint || !allows(precondition, entry.row())) {
      return refuse_resume(entry.stored, precondition);
    }
    start_next_attempt(entry, allow_changes);
    entry.append(event_of_resume(entry.stored, allow_changes), now());
    const api::Operation answer = entry.whole();
    remember(*tables, key, "resume", id, answer);
    return Resumed{answer, answer.checkpoint.value(), false};
  }

  Result<Claimed> claim(const OperationId& id, const Fence& fence, const std::string& worker_name) override {
    return at<Claimed>(id, [&](Entry& entry) -> Result<Claimed> {
      if (entry.is_waiting() && entry.row().attempt == fence.attempt) {
        take(entry, fence, worker_name);
        entry.append(event_of_claim(entry.stored), now());
      } else if (auto refused = refuse_claim(entry.stored, fence)) {
        return *refused;
      }
      return Claimed{entry.whole(), entry.stored.current(), entry.stored.last_sequence + 1};
    });
  }

  Result<HeartbeatOutcome> heartbeat(const OperationId& id, const api::HeartbeatRequest& beat) override {
    return at<HeartbeatOutcome>(id, [&](Entry& entry) -> Result<HeartbeatOutcome> {
      const Fence fence{beat.attempt, {beat.worker_id}};
      if (!holds_fence(entry.stored, fence)) return refuse_fence(entry.stored, fence);
      entry.stored.heartbeat_sequence += 1;
      entry.row().last_heartbeat_at = now();
      entry.row().progress = storable(beat.progress);
      entry.row().phase = entry.row().cancel_requested ? Phase::kCancelling : beat.phase;
      entry.store_epochs(beat.epochs);
      for (const std::string& warning : beat.warnings) entry.warn(warning);
      return HeartbeatOutcome{entry.row().cancel_requested, entry.row().version};
    });
  }

  Result<std::int64_t> add_epochs(const OperationId& id, const Fence& fence,
                                  const std::vector<api::EpochMetrics>& epochs) override {
    return at<std::int64_t>(id, [&](Entry& entry) -> Result<std::int64_t> {
      if (!holds_fence(entry.stored, fence)) return refuse_fence(entry.stored, fence);
      entry.stored.heartbeat_sequence += 1;
      entry.row().last_heartbeat_at = now();
      entry.store_epochs(epochs);
      return entry.row().version;
    });
  }

  Result<Committed> commit_checkpoint(const OperationId& id, const Fence& fence,
                                      const api::CheckpointInfo& checkpoint) override {
    TRY(check_commit(fence, checkpoint));
    return at<Committed>(id, [&](Entry& entry) -> Result<Committed> {
      const bool continues =
          checkpoint.parent == entry.stored.current() && checkpoint.ref.sequence > entry.stored.last_sequence;
      if (holds_fence(entry.stored, fence) && continues) {
        add_checkpoint(entry, checkpoint);
        entry.append(event_of_commit(checkpoint), now());
      } else if (auto refused = refuse_commit(entry.stored, fence, checkpoint)) {
        return *refused;
      }
      return Committed{entry.stored.checkpoint->dropped, entry.row().version};
    });
  }

  Result<Committed> rewind(const OperationId& id, const Fence& fence,
                           const api::RewindRequest& request) override {
    return at<Committed>(id, [&](Entry& entry) -> Result<Committed> {
      const auto& kept = entry.checkpoints;
      const bool goes_one_back =
          kept.size() == 2 && kept[1].info.ref == request.bad && kept[0].info.ref == request.previous;
      if (holds_fence(entry.stored, fence) && goes_one_back) {
        entry.checkpoints.pop_back();
        entry.checkpoints.back().rewound_from = request.bad;
        entry.point_to_newest();
        entry.warn(warning_of_rewind(request));
        entry.rewind_epochs();
        entry.append(event_of_rewind(request), now());
      } else if (auto refused = refuse_rewind(entry.stored, fence, request)) {
        return *refused;
      }
      return Committed{{request.bad}, entry.row().version};
    });
  }

  Result<Completed> complete(const OperationId& id, const api::CompleteRequest& request) override {
    return at<Completed>(id, [&](Entry& entry) -> Result<Completed> {
      if (holds_fence(entry.stored, {request.attempt, {request.worker_id}})) {
        finish(entry, request);
        entry.append(event_of_complete(entry.stored), now());
      } else if (auto refused = refuse_complete(entry.stored, request)) {
        return *refused;
      }
      return Completed{entry.whole(), entry.stored.dropped};
    });
  }

  Result<api::Operation> fail(const OperationId& id, const Fence& fence, const std::string& message,
                              const RestartRule& rule) override {
    return at<api::Operation>(id, [&](Entry& entry) -> Result<api::Operation> {
      if (holds_fence(entry.stored, fence) && may_restart(entry.stored, rule)) {
        entry.restart(Ending::kFailed, message, rule.failed_at);
      } else if (holds_fence(entry.stored, fence)) {
        entry.end(OperationStatus::kFailed, Ending::kFailed, now());
        entry.row().error_message = message_of_failure(entry.stored, message, rule);
      } else {
        if (auto refused = refuse_fail(entry.stored, fence, message)) return *refused;
        return entry.whole();
      }
      entry.append(event_of_failure(entry.stored), now());
      return entry.whole();
    });
  }

  Result<api::Operation> stopped(const OperationId& id, const api::StoppedRequest& request,
                                 const RestartRule& rule) override {
    return at<api::Operation>(id, [&](Entry& entry) -> Result<api::Operation> {
      const Fence fence{request.attempt, {request.worker_id}};
      if (holds_fence(entry.stored, fence)) {
        const bool was_shut_down = request.reason == api::StopReason::kShutdown;
        if (was_shut_down && rule.at_most > 0 && !entry.row().cancel_requested) entry.hand_over();
        else stop(entry, request);
        entry.row().progress = storable(request.progress);
        entry.store_epochs(request.epochs);
        if (request.warning) entry.warn(*request.warning);
        entry.append(event_of_stop(entry.stored, request), now());
      } else if (auto refused = refuse_stopped(entry.stored, fence)) {
        return *refused;
      }
      return entry.whole();
    });
  }

  Result<api::Operation> fail_unclaimed(const OperationId& id, Attempt attempt,
                                        const std::string& message) override {
    return at<api::Operation>(id, [&](Entry& entry) -> Result<api::Operation> {
      const bool was_resumed = entry.is_waiting() && entry.row().status == OperationStatus::kRunning;
      if (was_resumed && entry.row().attempt == attempt) {
        entry.end(OperationStatus::kFailed, Ending::kFailedUnclaimed, now());
        entry.row().error_message = message;
        entry.append(event_of_failure(entry.stored), now());
      } else if (auto refused = refuse_fail_unclaimed(entry.stored, attempt, message)) {
        return *refused;
      }
      return entry.whole();
    });
  }

  Result<api::Operation> request_cancel(const OperationId& id, const std::string& reason,
                                        const Precondition& precondition) override {
    return at<api::Operation>(id, [&](Entry& entry) -> Result<api::Operation> {
      const bool is_active = !is_finished(entry.row().status);
      if (is_active && !entry.row().cancel_requested && allows(precondition, entry.row())) {
        ask_to_cancel(entry, reason_or_default(reason));
        entry.append(event_of_cancel_request(entry.stored), now());
      } else if (auto refused = refuse_cancel(entry.stored, precondition)) {
        return *refused;
      }
      return entry.whole();
    });
  }

  Result<std::vector<Pulse>> pulses() override {
    auto tables = tables_.lock();
    std::vector<Pulse> pulses;
    for (const Entry* entry : oldest_first(*tables, [](const Entry& e) { return e.stored.is_claimed(); })) {
      const api::Operation& row = entry->stored.operation;
      pulses.push_back({.id = {row.operation_id},
                        .attempt = row.attempt,
                        .owner = WorkerId{*row.worker_id},
                        .owner_name = row.worker_name.value_or(""),
                        .heartbeat_sequence = entry->stored.heartbeat_sequence,
                        .cancel_requested = row.cancel_requested,
                        .last_heartbeat_at = row.last_heartbeat_at,
                        .current_checkpoint = entry->stored.current()});
    }
    return pulses;
  }

  Result<bool> end_orphan(const Pulse& watched, const std::string& message,
                          const RestartRule& rule) override {
    return at<bool>(watched.id, [&](Entry& entry) {
      const bool is_still = watched.owner && holds_fence(entry.stored, {watched.attempt, *watched.owner}) &&
                            entry.stored.heartbeat_sequence == watched.heartbeat_sequence;
      const RestartRule ruled{rule.at_most, last_known_batch(entry.stored)};
      if (is_still && may_restart(entry.stored, ruled)) {
        entry.restart(Ending::kOrphaned, message, ruled.failed_at);
      } else if (is_still) {
        give_up(entry, message_of_failure(entry.stored, message, ruled));
      }
      if (is_still) entry.append(event_of_orphan(entry.stored), now());
      return is_still;
    });
  }

  Result<std::vector<Waiting>> waiting(std::int64_t limit) override {
    auto tables = tables_.lock();
    std::vector<Waiting> waiting;
    for (const Entry* entry : oldest_first(*tables, [](const Entry& e) { return e.is_waiting(); })) {
      if (static_cast<std::int64_t>(waiting.size()) >= limit) break;
      const api::Operation& row = entry->stored.operation;
      const bool may_go = entry->stored.restart.cause == Ending::kStopped;
      waiting.push_back({{row.operation_id},
                         row.attempt,
                         row.checkpoint.has_value(),
                         may_go ? 0 : row.restarts.value_or(0)});
    }
    return waiting;
  }

  Result<std::vector<api::CheckpointInfo>> checkpoints(const OperationId& id) override {
    return at<std::vector<api::CheckpointInfo>>(id, newest_first);
  }

  Result<Committed> drop_checkpoints(const OperationId& id, const Precondition& precondition) override {
    return at<Committed>(id, [&](Entry& entry) -> Result<Committed> {
      const bool may_go = is_finished(entry.row().status) && entry.stored.checkpoint;
      if (!may_go || !allows(precondition, entry.row())) return refuse_drop(entry.stored, precondition);
      entry.row().version += 1;
      std::vector<CheckpointRef> dropped = entry.drop_all_checkpoints();
      entry.append(event_of_drop(dropped), now());
      return Committed{std::move(dropped), entry.row().version};
    });
  }

  Result<CheckpointPage> list_checkpoints(const CheckpointQuery& query) override {
    auto tables = tables_.lock();
    CheckpointPage page;
    for (const auto& [id, entry] : tables->operations) {
      const auto& current = entry.stored.checkpoint;
      if (!current || current->info.created_at >= query.created_before.value_or("~")) continue;
      page.checkpoints.push_back({id, entry.stored.operation.version, current->info});
    }
    if (query.with_total) page.total_count = static_cast<std::int64_t>(page.checkpoints.size());
    page.next = cut(page.checkpoints, query.after, 0, query.limit);
    return page;
  }

  Result<CheckpointTotals> checkpoint_totals() override {
    auto tables = tables_.lock();
    CheckpointTotals totals;
    for (const auto& [id, entry] : tables->operations) {
      totals.operations += entry.checkpoints.empty() ? 0 : 1;
      for (const StoredCheckpoint& checkpoint : entry.checkpoints) {
        totals.checkpoints += 1;
        totals.size_bytes += checkpoint.info.size_bytes;
        const std::string& created_at = checkpoint.info.created_at;
        totals.oldest_created_at = std::min(totals.oldest_created_at.value_or(created_at), created_at);
      }
    }
    return totals;
  }

  Result<Keep> keep(const OperationId& id) override {
    auto tables = tables_.lock();
    Keep keep;
    const auto found = tables->operations.find(id);
    if (found == tables->operations.end()) return keep;
    for (const auto& info : newest_first(found->second)) keep.refs.push_back(info.ref);
    if (found->second.row().status == OperationStatus::kRunning)
      keep.whole_attempt = found->second.row().attempt;
    return keep;
  }

  Result<EventPage> events(const OperationId& id, const EventQuery& query) override {
    return at<EventPage>(id, [&](Entry& entry) {
      EventPage page{.status = entry.row().status, .last_sequence = entry.last_event()};
      const auto begin = entry.events.begin(), end = entry.events.end();
      const auto follows = [](std::int64_t after, const auto& event) { return after < event.sequence; };
      const auto first = query.after ? std::upper_bound(begin, end, *query.after, follows) : begin;
      const auto length =
          std::min<std::ptrdiff_t>(end - first, std::clamp<std::int64_t>(query.limit, 0, kMostEvents));
      if (query.after) page.events.assign(first, first + length);
      else page.events.assign(end - length, end);
      return page;
    });
  }

  Result<std::vector<std::int64_t>> last_events(const std::vector<OperationId>& ids) override {
    auto tables = tables_.lock();
    std::vector<std::int64_t> numbers;
    for (const OperationId& id : ids) {
      const auto found = tables->operations.find(id);
      numbers.push_back(found == tables->operations.end() ? 0 : found->second.last_event());
    }
    return numbers;
  }

  Result<std::int64_t> forget_idempotency_keys(std::int64_t older_than_wall_ms) override {
    return static_cast<std::int64_t>(std::erase_if(tables_.lock()->answered, [&](const auto& answered) {
      return answered.second.wall_ms < older_than_wall_ms;
    }));
  }

 private:
  std::string now() const { return iso8601_utc(clock_.wall_ms()); }

  Entry new_entry(const NewOperation& operation) const {
    Entry entry;
    entry.request = operation.request;
    entry.row().operation_id = operation.id.value;
    entry.row().operation_type = operation.operation_type;
    entry.row().metadata = operation.metadata;
    entry.row().phase = Phase::kQueued;
    entry.row().attempt = 1;
    entry.row().version = 1;
    entry.row().created_at = now();
    return entry;
  }

  // `change(Entry&)` under the lock; kNotFound for an unknown operation.
  template <class T, class Change>
  Result<T> at(const OperationId& id, Change change) {
    auto tables = tables_.lock();
    const auto found = tables->operations.find(id);
    if (found == tables->operations.end()) return refuse_unknown(id);
    return change(found->second);
  }

  static std::vector<const Entry*> oldest_first(const Tables& tables, bool (*is_wanted)(const Entry&)) {
    std::vector<const Entry*> entries;
    for (const auto& [id, entry] : tables.operations) {
      if (is_wanted(entry)) entries.push_back(&entry);
    }
    std::sort(entries.begin(), entries.end(), [](const Entry* a, const Entry* b) {
      return is_newer(place_of(b->stored.operation), place_of(a->stored.operation));
    });
    return entries;
  }

  static std::vector<api::CheckpointInfo> newest_first(const Entry& entry) {
    std::vector<api::CheckpointInfo> infos;
    for (const StoredCheckpoint& checkpoint : entry.checkpoints) infos.push_back(checkpoint.info);
    std::reverse(infos.begin(), infos.end());
    return infos;
  }

  static Result<std::optional<api::Operation>> answered_before(const Tables& tables,
                                                               const std::optional<IdempotencyKey>& key,
                                                               const std::string& kind,
                                                               const std::optional<OperationId>& id) {
    const auto found = key ? tables.answered.find(key->key) : tables.answered.end();
    if (found == tables.answered.end()) return std::optional<api::Operation>();
    const Answered& answered = found->second;
    const bool is_same = answered.kind == kind && answered.request_hash == key->request_hash;
    if (!is_same || id.value_or(answered.id) != answered.id) return refuse_reused_key();
    return std::optional(answered.answer);
  }

  void remember(Tables& tables, const std::optional<IdempotencyKey>& key, const std::string& kind,
                const OperationId& id, const api::Operation& answer) const {
    if (key) tables.answered[key->key] = {kind, key->request_hash, id, answer, clock_.wall_ms()};
  }

  void start_next_attempt(Entry& entry, bool allow_changes) const {
    api::Operation& row = entry.row();
    entry.queue_next_attempt();
    row.started_at = now();
    row.completed_at.reset();
    row.error_message.reset();
    row.cancel_requested = false;
    row.restarts.reset();
    row.restart_reason.reset();
    entry.stored.restart = {};
    entry.stored.cancel_reason.clear();
    entry.request.allow_changes = allow_changes;
  }

  void take(Entry& entry, const Fence& fence, const std::string& worker_name) const {
    api::Operation& row = entry.row();
    if (row.status == OperationStatus::kPending) row.started_at = now();
    row.status = OperationStatus::kRunning;
    row.phase = entry.stored.checkpoint ? Phase::kRestoring : Phase::kPreparing;
    row.version += 1;
    row.worker_id = fence.worker.value;
    if (!worker_name.empty()) row.worker_name = worker_name;
    row.last_heartbeat_at = now();
    entry.rewind_epochs();
  }

  void add_checkpoint(Entry& entry, const api::CheckpointInfo& checkpoint) const {
    StoredCheckpoint added{.info = checkpoint};
    if (added.info.created_at.empty()) added.info.created_at = now();
    for (; entry.checkpoints.size() > 1; entry.checkpoints.erase(entry.checkpoints.begin())) {
      added.dropped.push_back(entry.checkpoints.front().info.ref);
    }
    entry.checkpoints.push_back(std::move(added));
    entry.stored.last_sequence = checkpoint.ref.sequence;
    entry.point_to_newest();
  }

  void finish(Entry& entry, const api::CompleteRequest& request) const {
    entry.end(OperationStatus::kCompleted, Ending::kCompleted, now());
    entry.row().error_message.reset();
    entry.row().result_summary = request.result;
    entry.row().progress = storable(request.progress);
    entry.row().progress.percentage = 100;
    entry.stored.model_path = request.model_path;
    entry.stored.model_sha256 = request.model_sha256;
    entry.store_epochs(request.epochs);
    entry.stored.dropped = entry.drop_all_checkpoints();
  }

  void ask_to_cancel(Entry& entry, const std::string& reason) const {
    const bool is_unclaimed = entry.is_waiting();
    entry.row().cancel_requested = true;
    entry.stored.cancel_reason = reason;
    if (is_unclaimed) {
      entry.end(OperationStatus::kCancelled, Ending::kCancelledUnclaimed, now());
      entry.row().error_message = reason;
    } else {
      entry.row().version += 1;
      entry.row().phase = Phase::kCancelling;
    }
  }

  void stop(Entry& entry, const api::StoppedRequest& request) const {
    entry.end(OperationStatus::kCancelled, Ending::kStopped, now());
    entry.row().error_message =
        entry.row().cancel_requested ? entry.stored.cancel_reason : message_of_stop(request);
  }

  void give_up(Entry& entry, const std::string& message) const {
    const bool was_cancelled = entry.row().cancel_requested;
    if (was_cancelled) entry.warn(warning_of_orphan(entry.stored));
    entry.end(was_cancelled ? OperationStatus::kCancelled : OperationStatus::kFailed, Ending::kOrphaned,
              now());
    entry.row().error_message = was_cancelled ? entry.stored.cancel_reason : message;
  }

  Clock& clock_;
  Synchronized<Tables> tables_;
};

}  // namespace

std::unique_ptr<OperationsRepository> make_memory_repository(Clock& clock) {
  return std::make_unique<MemoryRepository>(clock);
}

}  // namespace ktrdr::storage
