// Saves checkpoints while training goes on: writes the object, then commits its row through the server. The
// protocol is told at the top of the .cc.
//
// Owned by one run. The CheckpointSink part is called by the training thread; abandon() and give_up_at() by
// any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <thread>

#include "ktrdr/api/worker.h"
#include "ktrdr/checkpoints/checkpoint_store.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/core/synchronized.h"
#include "ktrdr/training/checkpoint_sink.h"
#include "ktrdr/training/stop_signal.h"
#include "ktrdr/worker/server_link.h"
#include "run_report.h"

namespace ktrdr::worker {

// Who writes and from where: the claim's answer.
struct CheckpointLineage {
  OperationId operation;
  Attempt attempt = 0;
  WorkerId worker;
  std::optional<CheckpointRef> acknowledged;  // the row's pointer
  std::int64_t next_sequence = 0;
  std::map<std::string, std::string> identity;
  std::string strategy_yaml;
};

class CheckpointWriter final : public training::CheckpointSink {
 public:
  CheckpointWriter(const Clock& clock, checkpoints::CheckpointStore& store, ServerLink& server,
                   RunReport& report, training::StopSignal& stop, CheckpointLineage lineage);
  ~CheckpointWriter() override;

  bool idle() const override;
  void wait_until_idle() override;
  void save_in_background(const training::TrainingSnapshot& snapshot, api::CheckpointType type) override;
  Result<void> save_now(const training::TrainingSnapshot& snapshot, api::CheckpointType type) override;

  // The server refused us: nothing is committed any more, and nobody waits.
  void abandon();
  // save_now() fails at that moment of the monotonic clock when the server has not answered until then.
  void give_up_at(Duration moment);

  std::optional<CheckpointRef> acknowledged() const;

 private:
  // A checkpoint whose object is durable and whose row is not acknowledged yet.
  struct Written {
    api::CommitCheckpointRequest commit;
  };
  struct Job {
    const training::TrainingSnapshot* snapshot = nullptr;
    api::CheckpointType type = api::CheckpointType::kPeriodic;
    CheckpointRef ref;
  };
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
    bool stopping = false;
  };

  void run();
  void write(const Job& job);
  void hold(Written written);
  void commit_once();
  void acknowledge(const api::CommitCheckpointAnswer& answer);
  void refuse(const Error& error);
  void fail(CheckpointRef ref, Error error);
  void remove(CheckpointRef ref);
  CheckpointRef enqueue(const training::TrainingSnapshot& snapshot, api::CheckpointType type);

  const Clock& clock_;
  checkpoints::CheckpointStore& store_;
  ServerLink& server_;
  RunReport& report_;
  training::StopSignal& stop_;
  const CheckpointLineage lineage_;
  mutable Synchronized<State> state_;
  Duration backoff_;  // of the writer's thread only
  std::jthread thread_;
};

}  // namespace ktrdr::worker
