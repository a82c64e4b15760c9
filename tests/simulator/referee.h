// Stands between the servers and the repository, and holds every call against the protocol
// (docs/protocol.md): it looks at the row before and after, and knows what was accepted earlier. It decides
// nothing and changes nothing.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "intercepted_repository.h"
#include "objects.h"
#include "recipe.h"
#include "world.h"

namespace ktrdr::simulator {

// Everything of an operation that anybody can read.
struct View {
  std::optional<api::Operation> row;
  std::vector<api::CheckpointInfo> checkpoints;
  std::optional<Attempt> kept_attempt;
  std::optional<api::OperationEvent> event;  // the newest of its history

  bool is(api::OperationStatus status) const { return row && row->status == status; }
  bool is_finished() const { return row && api::is_finished(row->status); }
  bool is_owned_by(const storage::Fence& fence) const {
    return is(api::OperationStatus::kRunning) && row->attempt == fence.attempt &&
           row->worker_id == fence.worker.value;
  }
  bool is_waiting() const { return row && !is_finished() && !row->worker_id; }
  std::optional<CheckpointRef> current() const {
    return checkpoints.empty() ? std::nullopt : std::optional(checkpoints.front().ref);
  }
};
bool operator==(const View& one, const View& other);

class Referee {
 public:
  Referee(World& world, storage::OperationsRepository& rows, Objects& objects, Duration lease)
      : world_(world), rows_(rows), objects_(objects), lease_(lease) {}

  template <class Proceed>
  auto around(const Call& call, Proceed proceed) {
    if (call.reads() || call.method == Method::kForgetKeys) return proceed();
    auto answer = proceed();
    View after = read(*call.id);
    const View& before = known_[*call.id].last;  // nothing but these calls changes it
    note(call, answer);
    if (answer.ok()) accepted(call, before, after, text_of(*answer));
    else refused(call, before, after, answer.error());
    check_row(*call.id, after);
    known_[*call.id].last = std::move(after);
    return answer;
  }

  // The sweep of files is about to take this one.
  void sweeps(const OperationId& id, CheckpointRef ref);
  // An object is gone.
  void removed(const OperationId& id) { check_row(id, known_[id].last); }
  // Its worker hears that its own commit, asked for the first time or again, is refused.
  void commit_answered(const Error& error);

  const View& view(const OperationId& id) { return known_[id].last; }

 private:
  struct Known {
    struct Answer {
      std::string text;
      std::int64_t changes = 0;  // of the row, when it was given
    };
    std::map<std::pair<Attempt, std::string>, Answer> answers;  // to (attempt, worker and request)
    std::int64_t changes = 0;
    std::map<Attempt, WorkerId> owners;
    std::int64_t last_sequence = -1;
    Duration last_sign_of_life{0};
    std::optional<storage::BatchPosition> last_failure;  // that was told of, since a client asked last
    View last;
  };
  struct KeyUse {
    std::string request_hash, answer;
  };

  View read(const OperationId& id);
  void accepted(const Call& call, const View& before, const View& after, const std::string& answer);
  void refused(const Call& call, const View& before, const View& after, const Error& error);
  // True: it was accepted for the first time.
  bool check_fenced(const Call& call, const View& before, const View& after, const std::string& answer);
  void check_change(const Call& call, const View& before, const View& after);
  void check_event(const Call& call, const View& before, const View& after);
  void check_commit(const Call& call, const View& before, const View& after);
  void check_rewind(const Call& call, const View& before, const View& after);
  void check_complete(const Call& call, const View& after);
  void check_restart(const Call& call, const View& before, const View& after);
  void check_not_restarted(const Call& call, const View& before, const View& after);
  void check_orphan(const Call& call, const View& before, const View& after);
  void check_client(const Call& call, const View& before, const View& after, const std::string& answer);
  void check_retry(const Call& call, const View& before);
  void check_row(const OperationId& id, const View& view);
  void check_history(const View& after);
  void expect(bool holds, const Call& call, const std::string& otherwise);

  template <class Answer>
  void note(const Call& call, const Result<Answer>& answer) {
    world_.note([&] {
      return std::string(to_string(call.method)) + " " + call.id->value +
             (call.fence ? " by " + std::to_string(call.fence->attempt) + "/" + call.fence->worker.value
                         : "") +
             " " + call.request + " -> " +
             (answer.ok() ? text_of(*answer)
                          : std::string(to_string(answer.error().code)) + ": " + answer.error().message);
    });
  }

  // What of an answer has to be the same when the request is repeated.
  static std::string text_of(const storage::Created& created) { return row_text(created.operation); }
  static std::string text_of(const storage::Resumed& resumed) {
    return row_text(resumed.operation) + " from " + resumed.from.ref.to_string();
  }
  static std::string text_of(const storage::Claimed& claimed) {
    return (claimed.current_checkpoint ? claimed.current_checkpoint->to_string() : "none") + " next " +
           std::to_string(claimed.next_sequence);
  }
  static std::string text_of(const storage::HeartbeatOutcome& beat) {
    return beat.cancel_requested ? "cancel" : "ok";
  }
  static std::string text_of(const storage::Committed& committed) {
    std::string text = "dropped";
    for (const CheckpointRef ref : committed.dropped) text += " " + ref.to_string();
    return text;
  }
  // The version is that of the row as it is: its checkpoints may have been deleted since.
  static std::string text_of(const storage::Completed& completed) { return text_of(completed.operation); }
  static std::string text_of(const api::Operation& row) {
    return std::string(api::to_string(row.status)) + " attempt " + std::to_string(row.attempt);
  }
  static std::string text_of(bool done) { return done ? "true" : "false"; }
  static std::string text_of(const std::vector<CheckpointRef>& refs) {
    return std::to_string(refs.size()) + " dropped";
  }
  template <class Read>
  static std::string text_of(const Read&) {
    return "read";
  }
  static std::string row_text(const api::Operation& row) {
    return text_of(row) + " version " + std::to_string(row.version);
  }

  World& world_;
  storage::OperationsRepository& rows_;
  Objects& objects_;
  const Duration lease_;
  std::map<OperationId, Known> known_;
  std::map<std::string, KeyUse> keys_;
};

}  // namespace ktrdr::simulator
