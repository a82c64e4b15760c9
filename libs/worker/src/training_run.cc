#include "training_run.h"

#include <pthread.h>

#include <algorithm>
#include <limits>

#include "ktrdr/core/log.h"

namespace ktrdr::worker {
namespace {

using training::StopRequest;
using training::TrainingOutcome;

constexpr Duration kFirstBackoff = std::chrono::milliseconds(100);
constexpr Duration kLongestBackoff = std::chrono::seconds(2);
constexpr int kMostPieces = 200;
constexpr auto kNever = std::numeric_limits<Duration::rep>::max();

api::Progress finished(api::Progress progress) {
  progress.percentage = 100;
  return progress;
}

}  // namespace

TrainingRun::TrainingRun(WorkerParts parts, Assignment assignment, std::function<void()> on_end)
    : parts_(parts),
      assignment_(std::move(assignment)),
      operation_(assignment_.operation),
      on_end_(std::move(on_end)),
      report_(assignment_.progress),
      save_until_ms_(kNever),
      give_up_at_ms_(kNever),
      heartbeat_thread_([this] { heartbeats(); }),
      training_thread_([this] { run(); }) {}

TrainingRun::~TrainingRun() {
  if (training_thread_.joinable()) training_thread_.join();
  if (heartbeat_thread_.joinable()) heartbeat_thread_.join();
}

void TrainingRun::shut_down(Duration save_until, Duration give_up_at) {
  save_until_ms_ = save_until.count();
  give_up_at_ms_ = give_up_at.count();
  if (auto writer = live_writer_.lock(); *writer != nullptr) (*writer)->give_up_at(save_until);
  stop_.request(StopRequest::kShutdown);
}

bool TrainingRun::wait_until_ended(Duration timeout) {
  return life_.wait(
      timeout, [this](Life&) { return ended_.load(); }, [](Life&, bool ended) { return ended; });
}

void TrainingRun::run() {
  pthread_setname_np(pthread_self(), "training");
  train();
  {
    auto writer = live_writer_.lock();
    *writer = nullptr;
  }
  writer_.reset();
  life_.update([](Life& life) { life.training_ended = true; });
  heartbeat_thread_.join();
  life_.update([this](Life&) { ended_ = true; });
  log(LogLevel::kInfo, "training ended here",
      {{"operation", operation_.value}, {"attempt", std::to_string(assignment_.attempt)}});
  on_end_();
}

void TrainingRun::train() {
  report_.set_phase(api::Phase::kPreparing);
  auto orchestrator = training::LocalTrainingOrchestrator::prepare(
      parts_.clock, parts_.engines, report_, {operation_, assignment_.attempt, assignment_.request});
  if (!orchestrator.ok()) return report_failed(orchestrator.error());

  writer_ = std::make_unique<CheckpointWriter>(
      parts_.clock, parts_.checkpoints, parts_.server, report_, stop_,
      CheckpointLineage{operation_, assignment_.attempt, assignment_.worker, assignment_.current_checkpoint,
                        assignment_.next_sequence, orchestrator->identity(),
                        assignment_.request.strategy_yaml});
  *live_writer_.lock() = writer_.get();
  if (save_until_ms_ != kNever) writer_->give_up_at(Duration(save_until_ms_.load()));
  if (stop_.requested() == StopRequest::kAbandon) writer_->abandon();

  auto result = orchestrator->run(*writer_, stop_, std::move(assignment_.resume));
  if (!result.ok()) {
    if (stop_.requested() != StopRequest::kAbandon) report_failed(result.error());
    return;
  }
  switch (result->outcome.kind) {
    case TrainingOutcome::Kind::kCompleted: return complete(std::move(*result));
    case TrainingOutcome::Kind::kStopped: return report_stopped(result->outcome);
    case TrainingOutcome::Kind::kAbandoned: return;
  }
}

// Rule 12: published first, once, then the fenced complete makes it the operation's model.
void TrainingRun::complete(training::FinishedTraining finished_training) {
  const auto published = parts_.models.publish(operation_, assignment_.attempt, finished_training.files);
  if (!published.ok()) return report_failed(Error(published.error()).while_doing("publishing the model"));
  finished_training.result.model_path = published->path.string();
  finished_training.result.model_sha256 = published->model_sha256;
  tell_what_is_unsent();
  const auto unsent = report_.unsent();
  const api::CompleteRequest request{.attempt = assignment_.attempt,
                                     .worker_id = assignment_.worker.value,
                                     .model_path = finished_training.result.model_path,
                                     .model_sha256 = finished_training.result.model_sha256,
                                     .result = {api::to_json(finished_training.result)},
                                     .progress = finished(unsent.progress),
                                     .epochs = unsent.epochs};
  static_cast<void>(
      tell("complete", [&](client::ApiClient& api) { return api.complete(operation_, request); }));
}

void TrainingRun::report_stopped(const TrainingOutcome& outcome) {
  std::optional<std::string> warning;
  if (outcome.save_error) {
    const auto older = writer_->acknowledged();
    warning = "The last checkpoint could not be saved (" + outcome.save_error->describe() + "); " +
              (older ? "the newest one is " + older->to_string() + "." : "there is none.");
  }
  tell_what_is_unsent();
  const auto unsent = report_.unsent();
  const bool cancelled = outcome.stop == StopRequest::kCancel;
  const api::StoppedRequest request{
      .attempt = assignment_.attempt,
      .worker_id = assignment_.worker.value,
      .reason = cancelled ? api::StopReason::kCancelled : api::StopReason::kShutdown,
      .warning = std::move(warning),
      .progress = unsent.progress,
      .epochs = unsent.epochs};
  static_cast<void>(
      tell("stopped", [&](client::ApiClient& api) { return api.stopped(operation_, request); }));
}

void TrainingRun::report_failed(const Error& error) {
  log(LogLevel::kError, "training failed", {{"operation", operation_.value}, {"error", error.describe()}});
  tell_what_is_unsent();
  const api::FailRequest request{assignment_.attempt, assignment_.worker.value, error.describe()};
  static_cast<void>(tell("fail", [&](client::ApiClient& api) { return api.fail(operation_, request); }));
}

bool TrainingRun::has_given_up() const {
  return stop_.requested() == StopRequest::kAbandon || parts_.clock.monotonic().count() >= give_up_at_ms_;
}

template <class Ask>
Result<void> TrainingRun::tell(std::string_view what, Ask ask) {
  for (Duration backoff = kFirstBackoff;; backoff = std::min(backoff * 2, kLongestBackoff)) {
    const auto answer = parts_.server.once(ask);
    if (answer.ok()) return {};
    if (!may_be_answered_later(answer.error()) || has_given_up()) {
      log(LogLevel::kWarning, "the server did not take the end of a training",
          {{"what", std::string(what)},
           {"operation", operation_.value},
           {"error", answer.error().describe()}});
      return answer.error();
    }
    life_.wait(
        backoff, [this](Life&) { return has_given_up(); }, [](Life&, bool) {});
  }
}

// ---- heartbeats ----

void TrainingRun::heartbeats() {
  pthread_setname_np(pthread_self(), "heartbeat");
  const auto ended = [this] {
    return life_.wait(
        assignment_.heartbeat_interval, [](Life& life) { return life.training_ended; },
        [](Life& life, bool) { return life.training_ended; });
  };
  do {
    heartbeat();
  } while (!ended());
}

// The last word carries one piece of what is unsent, like every request; what is more goes ahead of it. With
// the server away it stays unsent, and only lines for people are lost: the model's own history is complete.
void TrainingRun::tell_what_is_unsent() {
  for (int pieces = 0; pieces < kMostPieces && !report_.is_all_sent() && !has_given_up(); ++pieces) {
    if (!heartbeat()) return;
  }
}

// Silence never stops a training, only a refusal does. False: the server did not take it.
bool TrainingRun::heartbeat() {
  const std::lock_guard turn(heartbeat_turn_);
  const auto unsent = report_.unsent();
  const api::HeartbeatRequest beat{.attempt = assignment_.attempt,
                                   .worker_id = assignment_.worker.value,
                                   .phase = unsent.phase,
                                   .progress = unsent.progress,
                                   .epochs = unsent.epochs,
                                   .warnings = unsent.warnings};
  const auto answer =
      parts_.server.once([&](client::ApiClient& api) { return api.heartbeat(operation_, beat); });
  if (answer.ok()) {
    report_.acknowledge(unsent);
    if (answer->cancel) cancel();
    return true;
  }
  if (answer.error().code != ErrorCode::kStale) return false;
  stop_.request(StopRequest::kAbandon);
  if (auto writer = live_writer_.lock(); *writer != nullptr) (*writer)->abandon();
  return false;
}

}  // namespace ktrdr::worker
