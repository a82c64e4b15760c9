#include "ktrdr/worker/claimed_attempt.h"

#include <array>
#include <limits>
#include <utility>

#include "ktrdr/core/log.h"

namespace ktrdr::worker {
namespace {

using training::StopRequest;
using training::TrainingOutcome;

constexpr int kMostPieces = 200;
constexpr auto kNever = std::numeric_limits<Duration::rep>::max();

api::Progress finished(api::Progress progress) {
  progress.percentage = 100;
  return progress;
}

AttemptEnd end_of(const LastWord& word) {
  if (std::holds_alternative<api::CompleteRequest>(word)) return AttemptEnd::kCompleted;
  if (std::holds_alternative<api::FailRequest>(word)) return AttemptEnd::kFailed;
  const bool cancelled = std::get<api::StoppedRequest>(word).reason == api::StopReason::kCancelled;
  return cancelled ? AttemptEnd::kCancelled : AttemptEnd::kHandedBack;
}

CheckpointLineage lineage_of(const Assignment& assignment) {
  return {.operation = assignment.operation,
          .attempt = assignment.attempt,
          .worker = assignment.worker,
          .acknowledged = assignment.current_checkpoint,
          .next_sequence = assignment.next_sequence,
          .strategy_yaml = assignment.request.strategy_yaml};
}

}  // namespace

ClaimedAttempt::ClaimedAttempt(const Clock& clock, ServerApi& server,
                               checkpoints::CheckpointStore& checkpoints, Assignment assignment,
                               RunObserver& observer)
    : clock_(clock),
      server_(server),
      assignment_(std::move(assignment)),
      report_(assignment_.progress, observer),
      checkpoints_(clock, checkpoints, server, report_, stop_, lineage_of(assignment_)),
      give_up_at_ms_(kNever) {
  report_.set_phase(api::Phase::kPreparing);
  report_.on_begin();
}

std::optional<training::TrainingResumeContext> ClaimedAttempt::take_resume_context() {
  return std::exchange(assignment_.resume, std::nullopt);
}

void ClaimedAttempt::shut_down(Duration save_until, Duration give_up_at) {
  checkpoints_.give_up_at(save_until);
  give_up_at_ms_ = give_up_at.count();
  stop_.request(StopRequest::kShutdown);
}

bool ClaimedAttempt::has_given_up() const {
  return stop_.requested() == StopRequest::kAbandon || clock_.monotonic().count() >= give_up_at_ms_;
}

// ---- heartbeats ----

bool ClaimedAttempt::heartbeat() {
  const auto unsent = report_.unsent();
  const api::HeartbeatRequest beat{.attempt = assignment_.attempt,
                                   .worker_id = assignment_.worker.value,
                                   .phase = unsent.phase,
                                   .progress = unsent.progress,
                                   .epochs = unsent.epochs,
                                   .warnings = unsent.warnings,
                                   .checkpoint_counts = unsent.checkpoint_counts};
  const auto answer = server_.heartbeat(assignment_.operation, beat);
  if (answer.ok()) {
    report_.acknowledge(unsent);
    if (unsent.phase != api::Phase::kPreparing) has_told_of_training_ = true;
    if (answer->cancel) stop_.request(StopRequest::kCancel);
    return true;
  }
  // An operation that its only server does not know any more is nobody's work: that server keeps nothing
  // (`memory:`) and was restarted.
  if (answer.error().code == ErrorCode::kStale || answer.error().code == ErrorCode::kNotFound) {
    stop_.request(StopRequest::kAbandon);
    checkpoints_.abandon();
  }
  return false;
}

Duration ClaimedAttempt::until_next_heartbeat() const {
  return has_told_of_training_ ? assignment_.heartbeat_interval : assignment_.heartbeat_interval / 4;
}

// The last word carries one piece of what is unsent, like every request; what is more goes ahead of it. With
// the server away it stays unsent, and only lines for people are lost: the model's own history is complete.
void ClaimedAttempt::tell_what_is_unsent() {
  for (int pieces = 0; pieces < kMostPieces && !report_.is_all_sent() && !has_given_up(); ++pieces) {
    if (!heartbeat()) return;
  }
}

// ---- the last word ----

std::optional<LastWord> ClaimedAttempt::conclude(Result<training::FinishedTraining> ended,
                                                 const Publish& publish) {
  if (stop_.requested() == StopRequest::kAbandon) return refused();
  if (!ended.ok()) return failed(ended.error());
  switch (ended->outcome.kind) {
    case TrainingOutcome::Kind::kAbandoned: return refused();
    case TrainingOutcome::Kind::kStopped: return stopped(ended->outcome);
    case TrainingOutcome::Kind::kCompleted: break;
  }
  const auto published = publish(ended->files);
  if (!published.ok()) return failed(Error(published.error()).while_doing("publishing the model"));
  return completed(std::move(*ended), *published);
}

std::optional<LastWord> ClaimedAttempt::refused() {
  report_.on_end(AttemptEnd::kRefused);
  return std::nullopt;
}

LastWord ClaimedAttempt::completed(training::FinishedTraining finished_training,
                                   const checkpoints::PublishedModel& published) {
  tell_what_is_unsent();
  const auto unsent = report_.unsent();
  finished_training.result.model_path = published.path.string();
  finished_training.result.model_sha256 = published.model_sha256;
  return api::CompleteRequest{.attempt = assignment_.attempt,
                              .worker_id = assignment_.worker.value,
                              .model_path = finished_training.result.model_path,
                              .model_sha256 = finished_training.result.model_sha256,
                              .result = {api::to_json(finished_training.result)},
                              .progress = finished(unsent.progress),
                              .epochs = unsent.epochs};
}

LastWord ClaimedAttempt::stopped(const TrainingOutcome& outcome) {
  std::optional<std::string> warning;
  if (outcome.save_error) {
    const auto older = checkpoints_.acknowledged();
    warning = "The last checkpoint could not be saved (" + outcome.save_error->describe() + "); " +
              (older ? "the newest one is " + older->to_string() + "." : "there is none.");
  }
  tell_what_is_unsent();
  const auto unsent = report_.unsent();
  const bool cancelled = outcome.stop == StopRequest::kCancel;
  return api::StoppedRequest{.attempt = assignment_.attempt,
                             .worker_id = assignment_.worker.value,
                             .reason = cancelled ? api::StopReason::kCancelled : api::StopReason::kShutdown,
                             .warning = std::move(warning),
                             .progress = unsent.progress,
                             .epochs = unsent.epochs};
}

LastWord ClaimedAttempt::failed(const Error& error) {
  log(LogLevel::kError, "training failed",
      {{"operation", assignment_.operation.value}, {"error", error.describe()}});
  tell_what_is_unsent();
  api::FailRequest request{.attempt = assignment_.attempt,
                           .worker_id = assignment_.worker.value,
                           .error_message = error.describe()};
  const auto last = report_.unsent();
  if (last.phase == api::Phase::kTraining || last.phase == api::Phase::kValidating) {
    request.epoch = last.progress.context.epoch;
    request.batch = last.progress.context.batch;
  }
  return request;
}

bool ClaimedAttempt::say(const LastWord& word) {
  struct Ask {
    ServerApi& server;
    const OperationId& id;
    auto operator()(const api::CompleteRequest& request) const { return server.complete(id, request); }
    auto operator()(const api::StoppedRequest& request) const { return server.stopped(id, request); }
    auto operator()(const api::FailRequest& request) const { return server.fail(id, request); }
  };
  constexpr std::array kNames = {"complete", "stopped", "fail"};
  const auto answer = std::visit(Ask{server_, assignment_.operation}, word);
  if (answer.ok()) {
    report_.on_end(end_of(word));
    return true;
  }
  if (may_be_answered_later(answer.error()) && !has_given_up()) return false;
  log(LogLevel::kWarning, "the server did not take the end of a training",
      {{"what", kNames[word.index()]},
       {"operation", assignment_.operation.value},
       {"error", answer.error().describe()}});
  const bool unheard = may_be_answered_later(answer.error()) && stop_.requested() != StopRequest::kAbandon;
  report_.on_end(unheard ? AttemptEnd::kUnheard : AttemptEnd::kRefused);
  return true;
}

}  // namespace ktrdr::worker
