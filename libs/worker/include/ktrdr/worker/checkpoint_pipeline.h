// The way of a run's checkpoints from the trainer's snapshot to an acknowledged row, in single steps. The
// protocol is told at the top of the .cc. It has no thread: CheckpointWriter repeats the steps in production,
// the simulator in an order of its own.
//
// The trainer's part is called by one thread, step() and backoff() by one (maybe another), the rest by any.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "ktrdr/api/worker.h"
#include "ktrdr/checkpoints/checkpoint_store.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/core/synchronized.h"
#include "ktrdr/training/snapshot.h"
#include "ktrdr/training/stop_signal.h"
#include "ktrdr/worker/run_report.h"
#include "ktrdr/worker/save_failures.h"
#include "ktrdr/worker/server_api.h"

namespace ktrdr::worker {

// Who writes and from where: the claim's answer.
struct CheckpointLineage {
  OperationId operation;
  Attempt attempt = 0;
  WorkerId worker;
  std::optional<CheckpointRef> acknowledged;  // the row's pointer
  std::int64_t next_sequence = 0;
  std::string strategy_yaml;
};

class CheckpointPipeline {
  // A checkpoint whose object is durable and whose row is not acknowledged yet.
  struct Written {
    api::CommitCheckpointRequest commit;
    Duration taken_at{0};  // of the monotonic clock
  };
  struct Job {
    const training::TrainingSnapshot* snapshot = nullptr;
    api::CheckpointType type = api::CheckpointType::kPeriodic;
    CheckpointRef ref;
    Duration taken_at{0};
  };

 public:
  CheckpointPipeline(const Clock& clock, checkpoints::CheckpointStore& store, ServerApi& server,
                     RunReport& report, training::StopSignal& stop, CheckpointLineage lineage);

  // What every manifest records of the experiment; set before the first save.
  void set_identity(std::map<std::string, std::string> identity) { identity_ = std::move(identity); }

  // ---- the trainer's side ----

  // Only when idle. The snapshot is lent until that is so again.
  CheckpointRef enqueue(const training::TrainingSnapshot& snapshot, api::CheckpointType type);
  bool idle() const { return state_.lock()->idle(); }
  // How saving `ref` ended; nothing while that is open.
  std::optional<Result<void>> outcome(CheckpointRef ref) const;

  // ---- the writer's side ----

  // Writes what was enqueued, then asks the server once. To be called whenever there is news, and again after
  // backoff(), until the pipeline is at its end.
  void step();
  Duration backoff() const { return backoff_; }
  void count_processor_time(std::chrono::nanoseconds used) { report_.count_processor_time(used); }
  bool has_news() const { return state_.lock()->has_news(); }
  bool at_its_end() const { return state_.lock()->at_its_end(); }

  // ---- anybody ----

  // The server refused us: nothing is committed any more, and nobody waits.
  void abandon();
  // A save that is still open at that moment of the monotonic clock has failed.
  void give_up_at(Duration moment);
  // No save follows.
  void close();
  std::optional<CheckpointRef> acknowledged() const { return state_.lock()->acknowledged; }

  struct State {
    std::optional<Job> job;  // to be written: the trainer lends its snapshot until this is empty
    std::optional<Written>
        sending;                    // its commit was sent, perhaps applied: it stays until there is an answer
    std::optional<Written> newest;  // written after that one, never sent
    std::optional<CheckpointRef> acknowledged;
    std::map<CheckpointRef, Error> failed;
    std::int64_t next_sequence = 0;
    std::optional<Duration> give_up;
    bool abandoned = false;
    bool closed = false;

    bool idle() const { return !job; }
    bool is_settled(CheckpointRef ref) const;
    bool has_news() const { return job || closed || (newest && !sending && !abandoned); }
    bool at_its_end() const { return closed && !job; }
  };

  // Blocks until `ready(State)` or until `at_most` has passed, and answers whether it is ready.
  template <class Ready>
  bool wait(Duration at_most, Ready ready) const {
    return state_.wait(at_most, ready, [](const State&, bool is_ready) { return is_ready; });
  }

 private:
  void write(const Job& job);
  void hold(Written written);
  void commit_once();
  void acknowledge(const api::CommitCheckpointAnswer& answer);
  void refuse(const Error& error);
  void fail(CheckpointRef ref, Error error);
  void succeed(const Written& written);
  void remove(CheckpointRef ref);

  const Clock& clock_;
  checkpoints::CheckpointStore& store_;
  ServerApi& server_;
  RunReport& report_;
  training::StopSignal& stop_;
  const CheckpointLineage lineage_;
  std::map<std::string, std::string> identity_;
  mutable Synchronized<State> state_;
  Duration backoff_;
  SaveFailures failures_;
};

}  // namespace ktrdr::worker
