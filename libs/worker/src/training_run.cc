#include "training_run.h"

#include <pthread.h>

#include "checkpoint_writer.h"
#include "ktrdr/core/log.h"

namespace ktrdr::worker {
namespace {

LogSubject subject_of(const Assignment& assignment) {
  return {.operation = assignment.operation.value,
          .attempt = assignment.attempt,
          .worker = assignment.worker.value};
}

}  // namespace

TrainingRun::TrainingRun(WorkerParts parts, Assignment assignment, std::function<void()> on_end)
    : parts_(parts),
      attempt_(parts.clock, parts.server, parts.checkpoints, std::move(assignment), parts.observer),
      on_end_(std::move(on_end)),
      heartbeat_thread_([this] { heartbeats(); }),
      training_thread_([this] { run(); }) {}

TrainingRun::~TrainingRun() {
  if (training_thread_.joinable()) training_thread_.join();
  if (heartbeat_thread_.joinable()) heartbeat_thread_.join();
}

void TrainingRun::shut_down(Duration save_until, Duration give_up_at) {
  attempt_.shut_down(save_until, give_up_at);
}

void TrainingRun::look_for_cancel() {
  life_.update([](Life& life) { life.beat_now = true; });
}

bool TrainingRun::wait_until_ended(Duration timeout) {
  return life_.wait(
      timeout, [this](Life&) { return ended_.load(); }, [](Life&, bool ended) { return ended; });
}

void TrainingRun::run() {
  pthread_setname_np(pthread_self(), "training");
  const LogScope scope(subject_of(attempt_.assignment()));
  train();
  life_.update([](Life& life) { life.training_ended = true; });
  heartbeat_thread_.join();
  life_.update([this](Life&) { ended_ = true; });
  log(LogLevel::kInfo, "training ended here");
  on_end_();
}

void TrainingRun::train() {
  const Assignment& assignment = attempt_.assignment();
  CheckpointWriter writer(attempt_.checkpoints());  // commits on until the last word was said
  const auto word = attempt_.conclude(train_with(writer), [&](auto files) {
    return parts_.models.publish(assignment.operation, assignment.attempt, files);
  });
  if (!word) return;
  attempt_.tell(*word, [this](Duration pause) {
    life_.wait(
        pause, [this](Life&) { return attempt_.has_given_up(); }, [](Life&, bool) {});
  });
}

Result<training::FinishedTraining> TrainingRun::train_with(CheckpointWriter& writer) {
  const Assignment& assignment = attempt_.assignment();
  TRY_ASSIGN(auto orchestrator, training::LocalTrainingOrchestrator::prepare(
                                    parts_.clock, parts_.engines, attempt_.report(),
                                    {assignment.operation, assignment.attempt, assignment.request}));
  attempt_.checkpoints().set_identity(orchestrator.identity());
  return orchestrator.run(writer, attempt_.stop(), attempt_.take_resume_context());
}

void TrainingRun::heartbeats() {
  pthread_setname_np(pthread_self(), "heartbeat");
  const LogScope scope(subject_of(attempt_.assignment()));
  const auto ended = [this] {
    return life_.wait(
        attempt_.until_next_heartbeat(), [](Life& life) { return life.training_ended || life.beat_now; },
        [](Life& life, bool) {
          life.beat_now = false;
          return life.training_ended;
        });
  };
  do {
    attempt_.heartbeat();
  } while (!ended());
}

}  // namespace ktrdr::worker
