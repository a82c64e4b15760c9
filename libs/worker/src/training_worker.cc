#include "ktrdr/worker/training_worker.h"

#include <algorithm>
#include <utility>

#include "ktrdr/core/log.h"
#include "training_run.h"

namespace ktrdr::worker {
namespace {

constexpr Duration kLastWord = std::chrono::seconds(8);  // of a shutdown's time, for telling the server
constexpr Duration kFirstPause = std::chrono::milliseconds(100);
constexpr Duration kLongestPause = std::chrono::seconds(2);

Error busy(std::string_view why) {
  return {ErrorCode::kConflict, "This worker " + std::string(why) + "; another one must take the operation."};
}

std::string warning_of_fall_back(CheckpointRef bad, CheckpointRef previous, const Error& damage) {
  return "Checkpoint " + bad.to_string() + " is damaged (" + damage.message +
         "); training goes on from checkpoint " + previous.to_string() + ".";
}

}  // namespace

bool is_damage(const Error& error) {
  return error.code == ErrorCode::kCheckpointCorrupted || error.code == ErrorCode::kCheckpointNotFound;
}

StartRun run_on_threads(WorkerParts parts, std::function<void()> on_idle) {
  return [parts, on_idle = std::move(on_idle)](Assignment assignment) {
    return std::make_shared<TrainingRun>(parts, std::move(assignment), on_idle);
  };
}

TrainingWorker::TrainingWorker(const Clock& clock, ServerApi& server,
                               const checkpoints::CheckpointStore& checkpoints, WorkerIdentity identity,
                               StartRun start_run, Wait wait)
    : clock_(clock),
      server_(server),
      checkpoints_(checkpoints),
      identity_(std::move(identity)),
      start_run_(std::move(start_run)),
      wait_(std::move(wait)) {}

template <class Ready>
void TrainingWorker::wait(Duration at_most, Ready ready) {
  if (wait_) return wait_(at_most, [&] { return ready(*state_.lock()); });
  state_.wait(at_most, ready, [](State&, bool) {});
}

Result<api::TrainingStartedResponse> TrainingWorker::start(const api::TrainingStartRequest& request) {
  return take(request.operation_id, request.attempt);
}

Result<api::TrainingStartedResponse> TrainingWorker::resume(const api::TrainingResumeRequest& request) {
  TRY_ASSIGN(const OperationId id, OperationId::parse(request.operation_id));
  TRY_ASSIGN(const api::TrainingJob job, server_.job(id));
  if (job.checkpoints.empty()) return training::CheckpointNotFoundError(id);
  return take(request.operation_id, request.attempt);
}

// A claim and a rewind that were applied but not answered would leave the operation with an owner that does
// not know of it, so they are asked until there is a verdict; the same request again gets the same answer.
template <class Ask>
auto TrainingWorker::ask_until_answered(Ask ask) -> decltype(ask()) {
  for (Duration pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    auto answer = ask();
    if (answer.ok() || !may_be_answered_later(answer.error())) return answer;
    wait(pause, [](const State& state) { return state.shutting_down; });
    if (state_.lock()->shutting_down) return answer;
  }
}

// One at a time: whoever sets `taking` first decides, everybody else is told that the worker is busy.
Result<api::TrainingStartedResponse> TrainingWorker::take(const std::string& operation_id,
                                                          std::optional<Attempt> attempt) {
  TRY_ASSIGN(const OperationId id, OperationId::parse(operation_id));
  {
    auto state = state_.lock();
    if (state->shutting_down) return busy("is shutting down");
    if (state->taking || (state->run && !state->run->ended())) return busy("is busy");
    state->taking = true;
    state->run.reset();
  }
  const TakingEnds end_of_taking{state_};  // also when memory or threads run out
  return claim_and_train(id, attempt);
}

Result<api::TrainingStartedResponse> TrainingWorker::claim_and_train(const OperationId& id,
                                                                     std::optional<Attempt> attempt) {
  TRY_ASSIGN(api::TrainingJob job, server_.job(id));
  if (job.claimed || (attempt && *attempt != job.attempt)) {
    return Error(ErrorCode::kConflict, "Attempt " + std::to_string(attempt.value_or(job.attempt)) +
                                           " of operation " + id.value + " is not there to be claimed.");
  }
  const LogScope scope({.operation = id.value, .attempt = job.attempt, .worker = identity_.id.value});
  TRY_ASSIGN(Restored restored,
             restore_from_checkpoint(job));  // before the claim: a verdict must leave the row alone
  const api::ClaimRequest claim{job.attempt, identity_.id.value, identity_.name};
  TRY_ASSIGN(const api::ClaimAnswer claimed, ask_until_answered([&] { return server_.claim(id, claim); }));

  Assignment assignment{.operation = id,
                        .attempt = job.attempt,
                        .worker = identity_.id,
                        .request = std::move(job.request),
                        .current_checkpoint = claimed.current_checkpoint,
                        .next_sequence = claimed.next_sequence,
                        .heartbeat_interval = Duration(claimed.heartbeat_interval_ms),
                        .progress = std::move(job.progress),
                        .resume = std::move(restored.context)};
  if (restored.rewind) {  // rule 9
    TRY(ask_until_answered([&] { return server_.rewind(id, *restored.rewind); }));
    assignment.current_checkpoint = restored.from;
  }
  std::optional<std::int64_t> resumed_from;
  if (assignment.resume) resumed_from = assignment.resume->start_epoch - 1;
  log(LogLevel::kInfo, restored.from ? "resuming" : "starting",
      {{"checkpoint", restored.from ? restored.from->to_string() : "-"}});
  state_.lock()->run = start_run_(std::move(assignment));
  return api::TrainingStartedResponse{.operation_id = id.value, .resumed_from_epoch = resumed_from};
}

// The newest checkpoint that is whole. Nothing when the operation has none yet.
Result<TrainingWorker::Restored> TrainingWorker::restore_from_checkpoint(const api::TrainingJob& job) const {
  if (job.checkpoints.empty()) return Restored{};
  std::optional<Error> damage;
  for (const api::CheckpointInfo& checkpoint : job.checkpoints) {
    auto context = training::restore_from_checkpoint(checkpoints_, {job.operation_id}, checkpoint.ref);
    if (context.ok()) {
      Restored restored{.context = std::move(*context), .from = checkpoint.ref};
      if (damage) {
        const CheckpointRef bad = job.checkpoints.front().ref;
        restored.rewind = {.attempt = job.attempt,
                           .worker_id = identity_.id.value,
                           .bad = bad,
                           .previous = checkpoint.ref,
                           .reason = warning_of_fall_back(bad, checkpoint.ref, *damage)};
      }
      return restored;
    }
    if (!is_damage(context.error())) {  // no verdict: another worker may be able to read it
      return Error(context.error()).while_doing("reading checkpoint " + checkpoint.ref.to_string());
    }
    log(LogLevel::kWarning, "a checkpoint can't be used",
        {{"checkpoint", checkpoint.ref.to_string()}, {"error", context.error().describe()}});
    if (!damage) damage = std::move(context).error();
  }
  return *damage;
}

bool TrainingWorker::cancel(const OperationId& operation) {
  auto state = state_.lock();
  if (!state->run || state->run->ended() || state->run->operation() != operation) return false;
  state->run->look_for_cancel();
  return true;
}

ShutDown TrainingWorker::shut_down(Duration at_most) {
  const Duration deadline = clock_.monotonic() + at_most;
  // An operation that is being claimed right now is waited for, so that it is handed back too.
  state_.update([](State& state) { state.shutting_down = true; });
  while (state_.lock()->taking && clock_.monotonic() < deadline) {
    wait(std::chrono::milliseconds(20), [](const State& state) { return !state.taking; });
  }
  std::shared_ptr<Run> run = state_.lock()->run;
  if (!run || run->ended()) return ShutDown::kIdle;
  run->shut_down(deadline - std::min(kLastWord, at_most / 3), deadline);
  const Duration left = std::max(Duration(0), deadline - clock_.monotonic());
  return run->wait_until_ended(left) ? ShutDown::kHandedBack : ShutDown::kOutOfTime;
}

std::optional<OperationId> TrainingWorker::current_operation() const {
  auto state = state_.lock();
  if (!state->run || state->run->ended()) return std::nullopt;
  return state->run->operation();
}

api::WorkerHealth TrainingWorker::health() const {
  const auto operation = current_operation();
  return {.timestamp = iso8601_utc(clock_.wall_ms()),
          .worker_status = operation ? "busy" : "idle",
          .worker_id = identity_.id.value,
          .current_operation = operation ? std::optional(operation->value) : std::nullopt};
}

}  // namespace ktrdr::worker
