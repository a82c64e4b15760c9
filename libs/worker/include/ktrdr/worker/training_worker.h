// The worker process's one training at a time: takes work, trains it in the background, tells the server.
//
//   idle --start / resume: claim accepted--> busy --finished, stopped, refused--> idle
//
// Owned by main() or a test; every method is safe to call from any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ktrdr/api/worker.h"
#include "ktrdr/checkpoints/checkpoint_store.h"
#include "ktrdr/checkpoints/model_store.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/core/synchronized.h"
#include "ktrdr/training/engine.h"
#include "ktrdr/training/resume.h"
#include "ktrdr/worker/run.h"
#include "ktrdr/worker/run_observer.h"
#include "ktrdr/worker/server_api.h"

namespace ktrdr::worker {

// What a worker works with; all of it outlives the worker.
struct WorkerParts {
  Clock& clock;
  ServerApi& server;
  checkpoints::CheckpointStore& checkpoints;
  checkpoints::ModelStore& models;
  training::EngineFactory& engines;
  RunObserver& observer;
};

struct WorkerIdentity {
  WorkerId id;       // new with every process start
  std::string name;  // what people see
};

enum class ShutDown {
  kIdle,        // nothing was running
  kHandedBack,  // saved, and the server knows
  kOutOfTime,   // still not ended: what counts is on the disk, and the process must go
};

// Only damage is a reason to go back to the checkpoint before. A disk that can't be read now, or a checkpoint
// that a newer release wrote, is whole all the same.
bool is_damage(const Error& error);

// Trains on threads. `on_idle` is called, from any of them, whenever a training has ended: work may come
// again.
StartRun run_on_threads(WorkerParts parts, std::function<void()> on_idle);

class TrainingWorker {
 public:
  // Waits until `ready()`, or for `at_most`. A thread that waits for real has none and wakes at every change.
  using Wait = std::function<void(Duration at_most, const std::function<bool()>& ready)>;

  // What of WorkerParts a run needs besides is the matter of `start_run`.
  TrainingWorker(const Clock& clock, ServerApi& server, const checkpoints::CheckpointStore& checkpoints,
                 WorkerIdentity identity, StartRun start_run, Wait wait = {});

  // POST /training/start and /training/resume: returns when the attempt is claimed; training goes on in the
  // background. kConflict: busy, or the attempt can't be claimed. kUnavailable: the server can't be reached,
  // or the checkpoint storage can't be read now. Resume only, and then nothing was claimed:
  // kCheckpointNotFound, kCheckpointCorrupted.
  Result<api::TrainingStartedResponse> start(const api::TrainingStartRequest& request);
  Result<api::TrainingStartedResponse> resume(const api::TrainingResumeRequest& request);

  // True when it trains that operation: it asks the server at once whether to stop. The message itself
  // decides nothing, because it may be a late one that was meant for an earlier attempt.
  bool cancel(const OperationId& operation);

  // Stops taking work. A running training saves its place and hands the operation back, within `at_most`.
  ShutDown shut_down(Duration at_most);

  std::optional<OperationId> current_operation() const;
  api::WorkerHealth health() const;
  const WorkerIdentity& identity() const { return identity_; }

 private:
  struct Restored {
    std::optional<training::TrainingResumeContext> context;
    std::optional<CheckpointRef> from;
    std::optional<api::RewindRequest> rewind;  // the newest checkpoint is damaged
  };
  struct State {
    bool taking = false;  // between the decision to take an operation and the claim's answer
    bool shutting_down = false;
    std::shared_ptr<Run> run;
  };
  struct TakingEnds {
    Synchronized<State>& state;
    ~TakingEnds() {
      state.update([](State& now) { now.taking = false; });
    }
  };

  Result<api::TrainingStartedResponse> take(const std::string& operation_id, std::optional<Attempt> attempt);
  Result<api::TrainingStartedResponse> claim_and_train(const OperationId& id, std::optional<Attempt> attempt);
  template <class Ask>
  auto ask_until_answered(Ask ask) -> decltype(ask());
  template <class Ready>
  void wait(Duration at_most, Ready ready);
  Result<Restored> restore_from_checkpoint(const api::TrainingJob& job) const;

  const Clock& clock_;
  ServerApi& server_;
  const checkpoints::CheckpointStore& checkpoints_;
  const WorkerIdentity identity_;
  const StartRun start_run_;
  const Wait wait_;
  mutable Synchronized<State> state_;
};

}  // namespace ktrdr::worker
