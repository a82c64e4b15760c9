// A claimed attempt and whoever trains it: threads in production, a scheduler in the simulator.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "ktrdr/api/training.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/training/resume.h"

namespace ktrdr::worker {

// What a worker has claimed, and where it goes on from.
struct Assignment {
  OperationId operation;
  Attempt attempt = 0;
  WorkerId worker;
  api::TrainingRequest request;
  std::optional<CheckpointRef> current_checkpoint;
  std::int64_t next_sequence = 0;
  Duration heartbeat_interval = std::chrono::seconds(2);
  api::Progress progress;  // of the attempts before
  std::optional<training::TrainingResumeContext> resume;
};

// One attempt, from the claim's answer to the last word to the server. Safe to call from any thread.
class Run {
 public:
  virtual ~Run() = default;

  virtual const OperationId& operation() const = 0;
  // Sends a heartbeat at once: its answer says whether a cancel was requested.
  virtual void look_for_cancel() = 0;
  // Saving gives up at `save_until`, telling the server at `give_up_at`.
  virtual void shut_down(Duration save_until, Duration give_up_at) = 0;
  virtual bool ended() const = 0;
  // False: it has not ended within `timeout`.
  virtual bool wait_until_ended(Duration timeout) = 0;
};

using StartRun = std::function<std::shared_ptr<Run>(Assignment)>;

}  // namespace ktrdr::worker
