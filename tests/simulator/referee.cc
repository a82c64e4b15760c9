#include "referee.h"

#include <algorithm>
#include <tuple>

namespace ktrdr::simulator {
namespace {

using api::OperationStatus;

auto fields(const api::Operation& row) {
  return std::tie(row.operation_id, row.status, row.phase, row.attempt, row.version, row.created_at,
                  row.started_at, row.completed_at, row.progress, row.metadata, row.error_message,
                  row.warnings, row.result_summary, row.metrics, row.cancel_requested, row.worker_id,
                  row.worker_name, row.last_heartbeat_at, row.checkpoint, row.restarts, row.restart_reason);
}

std::string name_of(const Call& call) {
  return std::string(to_string(call.method)) + " of " + call.id->value;
}

std::string name_of(const std::optional<CheckpointRef>& ref) { return ref ? ref->to_string() : "none"; }

std::pair<Attempt, std::string> request_key(const Call& call) {
  return {call.fence->attempt, call.fence->worker.value + " " + call.request};
}

}  // namespace

std::string_view to_string(Method method) {
  switch (method) {
    case Method::kCreatedBefore: return "created_before";
    case Method::kCreate: return "create";
    case Method::kGet: return "get";
    case Method::kJob: return "job";
    case Method::kList: return "list";
    case Method::kRetry: return "retry";
    case Method::kChildren: return "children";
    case Method::kAddEpochs: return "add_epochs";
    case Method::kListCheckpoints: return "list_checkpoints";
    case Method::kCheckpointTotals: return "checkpoint_totals";
    case Method::kResume: return "resume";
    case Method::kClaim: return "claim";
    case Method::kHeartbeat: return "heartbeat";
    case Method::kCommit: return "commit";
    case Method::kRewind: return "rewind";
    case Method::kComplete: return "complete";
    case Method::kFail: return "fail";
    case Method::kStopped: return "stopped";
    case Method::kFailUnclaimed: return "fail_unclaimed";
    case Method::kCancel: return "cancel";
    case Method::kPulses: return "pulses";
    case Method::kEndOrphan: return "end_orphan";
    case Method::kWaiting: return "waiting";
    case Method::kCheckpoints: return "checkpoints";
    case Method::kDropCheckpoints: return "drop_checkpoints";
    case Method::kKeep: return "keep";
    case Method::kEvents: return "events";
    case Method::kLastEvents: return "last_events";
    case Method::kForgetKeys: return "forget_keys";
  }
  return "?";
}

bool operator==(const View& one, const View& other) {
  if (one.row.has_value() != other.row.has_value()) return false;
  if (one.row && fields(*one.row) != fields(*other.row)) return false;
  return one.checkpoints == other.checkpoints && one.kept_attempt == other.kept_attempt &&
         one.event == other.event;
}

View Referee::read(const OperationId& id) {
  View view;
  auto row = rows_.get(id);
  if (!row.ok()) return view;
  view.row = std::move(*row);
  view.checkpoints = rows_.checkpoints(id).value();
  view.kept_attempt = rows_.keep(id)->whole_attempt;
  const auto history = rows_.events(id, {.limit = 1});
  if (history.ok() && !history->events.empty()) view.event = history->events.back();
  return view;
}

void Referee::expect(bool holds, const Call& call, const std::string& otherwise) {
  if (!holds) world_.violate(name_of(call) + ": " + otherwise);
}

// ---- refusals ----

void Referee::refused(const Call& call, const View& before, const View& after, const Error& error) {
  world_.count("refused " + std::string(to_string(call.method)) + ": " + std::string(to_string(error.code)));
  expect(before == after, call, "it was refused and changed something");
  if (!call.fence || call.request.empty()) return;
  const Known& known = known_[*call.id];
  const auto answered = known.answers.find(request_key(call));
  if (answered == known.answers.end()) return;
  const bool nothing_happened_since = answered->second.changes == known.changes;
  const bool is_current_commit =
      call.checkpoint && before.is_owned_by(*call.fence) && before.current() == call.checkpoint->ref;
  expect(!nothing_happened_since && !is_current_commit, call,
         "it was answered '" + answered->second.text + "' before, now it is refused: " + error.message);
}

void Referee::commit_answered(const Error& error) {
  if (error.code == ErrorCode::kConflict)
    world_.violate("the owner's own commit was refused: " + error.message);
}

// ---- changes ----

void Referee::accepted(const Call& call, const View& before, const View& after, const std::string& answer) {
  if (call.fence) {
    if (!check_fenced(call, before, after, answer)) return;
  } else {
    check_client(call, before, after, answer);
    if (before == after) return;
  }
  ++known_[*call.id].changes;
  check_change(call, before, after);
}

bool Referee::check_fenced(const Call& call, const View& before, const View& after,
                           const std::string& answer) {
  Known& known = known_[*call.id];
  const bool claims = call.method == Method::kClaim && before.is_waiting() &&
                      before.row->attempt == call.fence->attempt && !before.row->cancel_requested;
  const bool is_rightful = claims || before.is_owned_by(*call.fence);
  const auto repeated = call.request.empty() ? known.answers.end() : known.answers.find(request_key(call));
  const bool is_repeat = repeated != known.answers.end();
  expect(is_rightful || (is_repeat && before == after), call,
         "it was accepted from attempt " + std::to_string(call.fence->attempt) + ", worker " +
             call.fence->worker.value + ", which doesn't own the running attempt " +
             (before.row ? std::to_string(before.row->attempt) : "?"));
  const auto [owner, is_first] = known.owners.emplace(call.fence->attempt, call.fence->worker);
  expect(is_first || owner->second == call.fence->worker, call,
         "two workers were accepted in attempt " + std::to_string(call.fence->attempt));
  if (is_repeat) {
    world_.count("repeated " + std::string(to_string(call.method)));
    const bool has_moved_on = call.method == Method::kClaim;  // it is told how far the run has come since
    expect(has_moved_on || repeated->second.text == answer, call,
           "the answer was '" + repeated->second.text + "' before, now it is '" + answer + "'");
    expect(before == after, call, "a repeated request changed something");
  } else if (!call.request.empty()) {
    known.answers[request_key(call)] = {answer, known.changes + 1};
  }
  if (call.method == Method::kHeartbeat || call.method == Method::kAddEpochs || claims)
    known.last_sign_of_life = world_.scheduler.now();
  return !is_repeat;
}

void Referee::check_change(const Call& call, const View& before, const View& after) {
  expect(!before.is_finished() || call.method == Method::kResume || call.method == Method::kDropCheckpoints,
         call, "it changed a finished operation");
  check_event(call, before, after);
  switch (call.method) {
    case Method::kCreate: return expect(!before.row && after.row, call, "it created nothing");
    case Method::kClaim:
      expect(after.is_owned_by(*call.fence), call, "the claim made nobody the owner");
      return check_history(after);
    case Method::kHeartbeat:
    case Method::kAddEpochs:
      return expect(after.checkpoints == before.checkpoints, call, "a heartbeat moved a checkpoint");
    case Method::kCommit: return check_commit(call, before, after);
    case Method::kRewind: return check_rewind(call, before, after);
    case Method::kComplete: return check_complete(call, after);
    case Method::kFail:
      if (after.is_waiting()) return check_restart(call, before, after);
      check_not_restarted(call, before, after);
      return expect(after.is(OperationStatus::kFailed) && after.checkpoints == before.checkpoints, call,
                    "it did not end as failed with its checkpoints");
    case Method::kStopped:
      if (after.is_waiting()) return check_restart(call, before, after);
      expect(call.stopped->reason != api::StopReason::kCancelled || before.row->cancel_requested, call,
             "it was cancelled, and nobody asked for that");
      return expect(after.is(OperationStatus::kCancelled) && after.checkpoints == before.checkpoints, call,
                    "it did not end as cancelled with its checkpoints");
    case Method::kFailUnclaimed:
      return expect(before.is_waiting() && after.is(OperationStatus::kFailed), call,
                    "it failed an attempt that was claimed");
    case Method::kResume:
      expect(before.row && api::is_resumable(before.row->status) && before.current(), call,
             "it resumed what can't be resumed");
      known_[*call.id].last_failure.reset();
      return expect(after.is_waiting() && after.row->attempt == before.row->attempt + 1 &&
                        !after.row->cancel_requested && after.checkpoints == before.checkpoints,
                    call, "the next attempt is not a fresh one from the same checkpoint");
    case Method::kCancel:
      return expect(after.is_finished() == before.is_waiting() && after.row->cancel_requested, call,
                    "a waiting operation ends at once, a claimed one by its worker");
    case Method::kEndOrphan: return check_orphan(call, before, after);
    case Method::kDropCheckpoints:
      return expect(before.is_finished() && after.checkpoints.empty(), call,
                    "checkpoints are dropped of finished operations, and all of them");
    default: return expect(false, call, "a reading call changed something");
  }
}

// Exactly one, and it tells what the change led to. Signs of life are none.
void Referee::check_event(const Call& call, const View& before, const View& after) {
  if (call.method == Method::kHeartbeat || call.method == Method::kAddEpochs) {
    return expect(before.event == after.event, call, "a sign of life is in the history");
  }
  const std::int64_t last = before.event ? before.event->sequence : 0;
  if (!after.event || after.event->sequence != last + 1) {
    return expect(false, call, "the history did not grow by one");
  }
  expect(after.event->status == after.row->status && after.event->version == after.row->version &&
             after.event->attempt == after.row->attempt,
         call, "the history tells of another state than the row's");
}

void Referee::check_commit(const Call& call, const View& before, const View& after) {
  Known& known = known_[*call.id];
  const api::CheckpointInfo& committed = *call.checkpoint;
  expect(committed.parent == before.current(), call,
         "its parent is " + name_of(committed.parent) + ", the current one was " + name_of(before.current()));
  expect(committed.ref.attempt == call.fence->attempt, call, "it is named after another attempt");
  expect(committed.ref.sequence > known.last_sequence, call, "its number was used before");
  known.last_sequence = std::max(known.last_sequence, committed.ref.sequence);
  std::vector<CheckpointRef> expected = {committed.ref};
  if (before.current()) expected.push_back(*before.current());
  std::vector<CheckpointRef> kept;
  for (const auto& checkpoint : after.checkpoints) kept.push_back(checkpoint.ref);
  expect(kept == expected, call, "the newest two are kept, and no others");
}

void Referee::check_rewind(const Call& call, const View& before, const View& after) {
  const api::RewindRequest& request = *call.rewind;
  world_.count("went back a checkpoint");
  expect(before.current() == request.bad && after.current() == request.previous, call,
         "it went from another checkpoint, or to another one");
  expect(objects_.is_damaged(*call.id, request.bad), call, "a whole checkpoint was given up");
  check_history(after);
}

// No epoch after the checkpoint that the run goes on from.
void Referee::check_history(const View& after) {
  if (!after.row->metrics) return;
  const std::int64_t last = after.checkpoints.empty() ? -1 : after.checkpoints.front().epoch.value_or(-1);
  for (const auto& epoch : after.row->metrics->epochs) {
    if (epoch.epoch > last)
      world_.violate(after.row->operation_id + ": epoch " + std::to_string(epoch.epoch) +
                     " is told of, but the run goes on from epoch " + std::to_string(last + 1));
  }
}

void Referee::check_complete(const Call& call, const View& after) {
  const api::CompleteRequest& request = *call.complete;
  const Recipe& recipe = recipe_of(rows_.job(*call.id)->request);
  world_.count("completed");
  if (request.attempt > 1) world_.count("completed after a resume");
  expect(after.is(OperationStatus::kCompleted) && after.checkpoints.empty(), call,
         "it did not end as completed, without checkpoints");
  expect(objects_.is_published(request.model_path, request.model_sha256), call, "its model is not there");
  expect(request.model_sha256 == recipe.model_sha256, call, "the model is not that of the undisturbed run");
  expect(after.row->metrics && after.row->metrics->epochs == recipe.history, call,
         "its history is not that of the undisturbed run");
}

// A cancel request always wins; the same checkpoint, the next attempt, and no more of them than allowed.
void Referee::check_restart(const Call& call, const View& before, const View& after) {
  const std::int64_t times = before.row->restarts.value_or(0);
  const bool is_hand_over = call.method == Method::kStopped;
  world_.count(is_hand_over                        ? "handed over on SIGTERM"
               : call.method == Method::kEndOrphan ? "restarted after a lapsed lease"
                                                   : "restarted after a failure");
  expect(world_.max_restarts > 0 && (is_hand_over || times < world_.max_restarts), call,
         "it was restarted more often than allowed");
  expect(after.row->restarts.value_or(0) == times + (is_hand_over ? 0 : 1), call, "it was counted wrongly");
  expect(!before.row->cancel_requested, call, "it was restarted although a cancel was requested");
  expect(after.row->attempt == before.row->attempt + 1 && after.is(OperationStatus::kRunning) &&
             after.checkpoints == before.checkpoints,
         call, "the next attempt is not a fresh one from the same checkpoint");
  if (call.method != Method::kFail) {
    if (!is_hand_over) known_[*call.id].last_failure.reset();
    return;
  }
  auto& last_failure = known_[*call.id].last_failure;
  expect(!call.rule->failed_at || call.rule->failed_at != last_failure, call,
         "a batch that failed twice in a row was tried once more");
  last_failure = call.rule->failed_at;
}

void Referee::check_not_restarted(const Call& call, const View& before, const View& after) {
  if (world_.max_restarts == 0 || before.row->cancel_requested) return;
  const bool is_poison = after.row->error_message.value_or("").find("twice in a row") != std::string::npos;
  world_.count(is_poison ? "a poison batch ended it" : "its restarts were used up");
  expect(is_poison || before.row->restarts.value_or(0) >= world_.max_restarts, call,
         "it was not restarted, and might have been");
}

void Referee::check_orphan(const Call& call, const View& before, const View& after) {
  const storage::Pulse& pulse = *call.pulse;
  world_.count("lease lapsed");
  expect(pulse.owner && before.is_owned_by({pulse.attempt, *pulse.owner}), call,
         "it ended an attempt that it did not watch");
  const bool was_cancelled = before.row->cancel_requested;
  if (after.is_waiting()) check_restart(call, before, after);
  else check_not_restarted(call, before, after);
  if (was_cancelled) world_.count("lease lapsed while cancelling");
  expect(
      after.is_waiting() || after.is(was_cancelled ? OperationStatus::kCancelled : OperationStatus::kFailed),
      call, "what was to be cancelled doesn't fail, and the other way round");
  const Duration silent = world_.scheduler.now() - known_[*call.id].last_sign_of_life;
  expect(silent >= lease_, call,
         "its worker was heard of " + std::to_string(silent.count()) + " ms ago, less than a lease");
}

// The operation that is retried stays as it is; another one begins, or began when this was asked before.
void Referee::check_retry(const Call& call, const View& before) {
  View begun = read(*call.new_id);
  if (!begun.row || known_[*call.new_id].last.row) return;
  expect(before.row && api::is_resumable(before.row->status), call, "it retried what can't be retried");
  expect(begun.is(OperationStatus::kPending) && begun.row->parent_operation_id == call.id->value, call,
         "the new operation is not a fresh one");
  known_[*call.new_id].last = std::move(begun);
}

void Referee::check_client(const Call& call, const View& before, const View& after,
                           const std::string& answer) {
  if (call.precondition && call.precondition->if_version && before != after) {
    expect(*call.precondition->if_version == before.row->version, call, "If-Match named another version");
  }
  if (call.method == Method::kEndOrphan && answer == "false")
    world_.count("heartbeat won against the end of its lease");
  if (call.method == Method::kCreate) expect(after.row.has_value(), call, "it was acknowledged and is lost");
  if (call.method == Method::kRetry) check_retry(call, before);
  if (!call.key || !*call.key) return;
  const storage::IdempotencyKey& key = **call.key;
  const auto [use, is_first] = keys_.emplace(key.key, KeyUse{key.request_hash, answer});
  if (is_first) return;
  world_.count("repeated " + std::string(to_string(call.method)) + " by its key");
  expect(use->second.request_hash == key.request_hash, call, "its key was used for another request");
  expect(use->second.answer == answer, call,
         "the answer was '" + use->second.answer + "' before, now it is '" + answer + "'");
  expect(before == after, call, "a repeated request changed something");
}

// ---- what holds after every step ----

void Referee::check_row(const OperationId& id, const View& view) {
  Known& known = known_[id];
  const auto wrong = [&](const std::string& what) { world_.violate(id.value + ": " + what); };
  if (known.last.row) {
    if (!view.row) return wrong("the operation is gone");
    if (view.row->attempt < known.last.row->attempt) wrong("the attempt went back");
    if (view.row->version < known.last.row->version) wrong("the version went back");
  }
  if (!view.row) return;
  for (const api::CheckpointInfo& checkpoint : view.checkpoints) {
    const std::string name = checkpoint.ref.to_string();
    if (!objects_.is_there(id, checkpoint.ref))
      wrong("the row names checkpoint " + name + ", which is not there");
    else if (objects_.digest(id, checkpoint.ref) != checkpoint.manifest_digest)
      wrong("checkpoint " + name + " has other bytes than its row says");
  }
  if (view.checkpoints.size() > 2) wrong("more than two checkpoints are kept");
  if (view.checkpoints.size() == 2 && view.checkpoints[0].parent != view.checkpoints[1].ref)
    wrong("the chain of parents is broken");
  if ((view.row->checkpoint ? std::optional(view.row->checkpoint->ref) : std::nullopt) != view.current())
    wrong("the pointer is not the newest checkpoint");
  if (view.is(OperationStatus::kCompleted) && view.row->worker_id && !view.checkpoints.empty())
    wrong("a completed operation has checkpoints");
}

void Referee::sweeps(const OperationId& id, CheckpointRef ref) {
  const View& now = view(id);
  world_.count("object swept");
  const bool is_current = now.is(OperationStatus::kRunning) && ref.attempt >= now.row->attempt;
  if (is_current)
    world_.violate(id.value + ": the sweep takes " + ref.to_string() + " of the attempt that runs");
}

}  // namespace ktrdr::simulator
