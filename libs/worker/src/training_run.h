// One claimed attempt, from the claim's answer to the last word to the server. Owns its threads: the
// training, the heartbeat, the checkpoint writer. Created by TrainingWorker; its methods are safe to call
// from any thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "checkpoint_writer.h"
#include "ktrdr/training/local_training_orchestrator.h"
#include "ktrdr/worker/training_worker.h"
#include "run_report.h"

namespace ktrdr::worker {

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

class TrainingRun {
 public:
  TrainingRun(WorkerParts parts, Assignment assignment, std::function<void()> on_end);
  ~TrainingRun();

  const OperationId& operation() const { return operation_; }
  void cancel() { stop_.request(training::StopRequest::kCancel); }
  // Saving gives up at `save_until`, telling the server at `give_up_at`.
  void shut_down(Duration save_until, Duration give_up_at);
  bool ended() const { return ended_; }
  // False: it has not ended within `timeout`.
  bool wait_until_ended(Duration timeout);

 private:
  void run();
  void train();
  void complete(training::FinishedTraining finished);
  void report_stopped(const training::TrainingOutcome& outcome);
  void report_failed(const Error& error);
  void heartbeats();
  bool heartbeat();
  void tell_what_is_unsent();

  // Asks until there is an answer that counts; gives up when abandoned, or at the deadline of a shutdown.
  template <class Ask>
  Result<void> tell(std::string_view what, Ask ask);
  bool has_given_up() const;

  const WorkerParts parts_;
  Assignment assignment_;
  const OperationId operation_;
  const std::function<void()> on_end_;
  RunReport report_;
  training::StopSignal stop_;
  std::atomic<Duration::rep> save_until_ms_, give_up_at_ms_;
  std::unique_ptr<CheckpointWriter> writer_;  // from the moment the model is there
  Synchronized<CheckpointWriter*> live_writer_;
  struct Life {
    bool training_ended = false;
  };
  Synchronized<Life> life_;
  std::atomic<bool> ended_ = false;
  std::mutex heartbeat_turn_;  // two heartbeats at once would acknowledge the same lines twice
  std::jthread heartbeat_thread_, training_thread_;
};

}  // namespace ktrdr::worker
