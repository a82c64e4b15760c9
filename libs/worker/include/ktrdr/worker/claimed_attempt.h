// One claimed attempt as the server sees it: its heartbeats, its checkpoints, its last word. It has no thread
// and waits for nothing: TrainingRun gives it threads in production, the simulator its scheduler. Every call
// asks the server at most once (tell() and tell_what_is_unsent() say what they repeat).
//
// Owned by a run; safe to call from any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "ktrdr/checkpoints/model_store.h"
#include "ktrdr/training/local_training_orchestrator.h"
#include "ktrdr/worker/checkpoint_pipeline.h"
#include "ktrdr/worker/run.h"

namespace ktrdr::worker {

using LastWord = std::variant<api::CompleteRequest, api::StoppedRequest, api::FailRequest>;

class ClaimedAttempt {
 public:
  ClaimedAttempt(const Clock& clock, ServerApi& server, checkpoints::CheckpointStore& checkpoints,
                 Assignment assignment, RunObserver& observer = nobody());

  const Assignment& assignment() const { return assignment_; }
  std::optional<training::TrainingResumeContext> take_resume_context();
  RunReport& report() { return report_; }
  const training::StopSignal& stop() const { return stop_; }
  CheckpointPipeline& checkpoints() { return checkpoints_; }

  void shut_down(Duration save_until, Duration give_up_at);

  // Silence never stops a training; a refusal does, and a cancel request in the answer. False: the server did
  // not take it.
  bool heartbeat();

  // Sooner while nobody knows yet that the training goes on: the server tells people what it heard.
  Duration until_next_heartbeat() const;

  // What is to be said of a training that ended so; nothing when the server has refused this attempt. A model
  // is published first (rule 12). Says ahead, by heartbeats, what a last word can't carry.
  using Publish =
      std::function<Result<checkpoints::PublishedModel>(std::span<const checkpoints::FileContent>)>;
  std::optional<LastWord> conclude(Result<training::FinishedTraining> ended, const Publish& publish);

  // Asks until there is an answer that counts, calling `pause(Duration)` in between; gives up when refused,
  // or at the deadline of a shutdown.
  template <class Pause>
  void tell(const LastWord& word, Pause pause);
  bool has_given_up() const;

 private:
  std::optional<LastWord> refused();
  LastWord completed(training::FinishedTraining finished, const checkpoints::PublishedModel& published);
  LastWord stopped(const training::TrainingOutcome& outcome);
  LastWord failed(const Error& error);
  void tell_what_is_unsent();

  static constexpr Duration kFirstBackoff = std::chrono::milliseconds(100);
  static constexpr Duration kLongestBackoff = std::chrono::seconds(2);
  bool say(const LastWord& word);  // true: answered, or nobody is to be told any more

  const Clock& clock_;
  ServerApi& server_;
  Assignment assignment_;
  RunReport report_;
  training::StopSignal stop_;
  CheckpointPipeline checkpoints_;
  std::atomic<Duration::rep> give_up_at_ms_;
  std::atomic<bool> has_told_of_training_ = false;
};

template <class Pause>
void ClaimedAttempt::tell(const LastWord& word, Pause pause) {
  for (Duration backoff = kFirstBackoff; !say(word); backoff = std::min(backoff * 2, kLongestBackoff)) {
    pause(backoff);
  }
}

}  // namespace ktrdr::worker
