#include "ktrdr/training/model_trainer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ktrdr/core/check.h"
#include "ktrdr/core/log.h"
#include "ktrdr/training/random.h"
#include "ktrdr/training/test_report.h"

namespace ktrdr::training {
namespace {

constexpr Duration kReportEvery{100};

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// Whatever way train() returns, the sink must have let go of the snapshot that dies with the trainer.
class SnapshotGuard {
 public:
  explicit SnapshotGuard(CheckpointSink& sink) : sink_(sink) {}
  ~SnapshotGuard() { sink_.wait_until_idle(); }
  SnapshotGuard(const SnapshotGuard&) = delete;
  SnapshotGuard& operator=(const SnapshotGuard&) = delete;

 private:
  CheckpointSink& sink_;
};

bool is_routine(api::Phase phase) {
  return phase == api::Phase::kTraining || phase == api::Phase::kValidating;
}

Error does_not_fit(const std::string& what) {
  return {ErrorCode::kConflict, "The checkpoint doesn't fit this strategy and data: " + what +
                                    ". Restore what they were, or go on all the same with "
                                    "'ktrdr resume ID --allow-changes'."};
}

Error not_finite(const Position& at, std::int64_t step) {
  return {ErrorCode::kInternal, "The training loss is no longer a finite number (epoch " +
                                    std::to_string(at.start_epoch) + ", batch " +
                                    std::to_string(at.start_batch) + ", step " + std::to_string(step) +
                                    "); lower the learning rate or set gradient_clip, and start again."};
}

}  // namespace

ModelTrainer::ModelTrainer(const Clock& clock, Engine& engine, const strategy::Strategy& strategy,
                           const strategy::Dataset& dataset, CheckpointSink& sink, TrainingObserver& observer,
                           const ModelTrainerOptions& options, std::optional<TrainingResumeContext> resume)
    : clock_(clock),
      engine_(engine),
      strategy_(strategy),
      dataset_(dataset),
      sink_(sink),
      observer_(observer),
      options_(options),
      resume_(std::move(resume)) {
  CHECK(epochs() >= 1 && strategy.training.batch_size >= 1, "a parsed strategy trains something");
  CHECK(dataset.train.size() >= 1 && dataset.validation.size() >= 1 && dataset.test.size() >= 1,
        "a prepared dataset has no empty part");
  CHECK(options.validation_chunk_rows >= 1, "validation goes forward");
}

Result<TrainingOutcome> ModelTrainer::train(const StopSignal& stop) {
  const SnapshotGuard guard(sink_);
  started_ = clock_.monotonic();
  auto outcome = run(stop);
  if (!outcome.ok()) report_failed_batch();
  return outcome;
}

// Exactly, whatever was told before: a supervisor compares it with where the attempt before had failed.
void ModelTrainer::report_failed_batch() {
  const bool was_in_a_batch = policy_ && !state_.position.finished;
  if (!was_in_a_batch) return;
  last_report_.reset();
  report(state_.position.validation_pending ? api::Phase::kValidating : api::Phase::kTraining);
}

Result<TrainingOutcome> ModelTrainer::run(const StopSignal& stop) {
  if (stop.requested() == StopRequest::kAbandon) return stop_here(StopRequest::kAbandon);
  TRY(begin());
  while (!state_.position.finished && !stop.is_set()) {
    if (!state_.position.validation_pending) {
      TRY(train_next_batch());
    } else {
      TRY_ASSIGN(const bool completed, finish_epoch(stop));
      if (!completed) break;
    }
    save_if_due();
  }
  // A stop that comes later than this loses against the completion, which is a moment away.
  if (stop.is_set()) return stop_here(stop.requested());
  auto completed = evaluate();
  if (!completed.ok()) save_finished_training();
  return completed;
}

// ---- the start ----

Result<void> ModelTrainer::begin() {
  if (resume_) {
    TRY(restore(*std::exchange(resume_, std::nullopt)));
  } else {
    state_ = initial_state(strategy_.training, dataset_, options_.seed);
    report(api::Phase::kSaving);
    take();
    TRY(sink_.save_now(snapshot_, api::CheckpointType::kInitial));
  }
  steps_at_start_ = state_.global_step;
  policy_.emplace(clock_, options_.checkpoints, sink_.background_cost());
  return {};
}

Result<void> ModelTrainer::restore(TrainingResumeContext context) {
  const Result<void> fits = check_fits(context.trainer_state);
  if (!fits.ok() && !options_.allow_changes) return fits;
  TRY(engine_.restore_model(context.model_weights));
  TRY(engine_.restore_optimizer(context.optimizer_state));
  if (context.best_model_weights) best_model_.restore(*context.best_model_weights);
  context.tensors_owner.reset();
  state_ = std::move(context.trainer_state);
  if (!fits.ok()) adapt_to_changes();
  report(api::Phase::kRestoring);
  observer_.on_history_restored(state_.history);
  return {};
}

Result<void> ModelTrainer::check_fits(const TrainerState& saved) const {
  const Position& at = saved.position;
  const std::int64_t batches = batches_per_epoch();
  const std::int64_t rows_done =
      std::min(at.start_batch * strategy_.training.batch_size, dataset_.train.size());
  const std::pair<bool, const char*> rules[] = {
      {saved.seed == options_.seed, "it was made with another seed"},
      {saved.class_weights == dataset_.class_weights, "the class weights differ"},
      {saved.normalization == normalization_constants(dataset_), "the normalization constants differ"},
      {at.start_epoch <= epochs(), "it has more epochs than the strategy"},
      {at.finished == (saved.stopped_early || at.start_epoch == epochs()), "the number of epochs differs"},
      {at.start_batch <= batches && at.validation_pending == (at.start_batch == batches),
       "the number of batches in an epoch differs"},
      {saved.global_step == at.start_epoch * batches + at.start_batch, "the number of steps differs"},
      {saved.running.count == rows_done, "the size of a batch differs"}};
  for (const auto& [holds, otherwise] : rules) {
    if (!holds) return does_not_fit(otherwise);
  }
  return {};
}

// The user wants to go on although the experiment is another one. What is done stays done; the epoch in
// progress begins again, because its batches were others.
void ModelTrainer::adapt_to_changes() {
  state_.seed = options_.seed;
  state_.class_weights = dataset_.class_weights;
  state_.normalization = normalization_constants(dataset_);
  const std::int64_t epoch = state_.position.start_epoch;
  state_.position = {.start_epoch = epoch, .finished = state_.stopped_early || epoch >= epochs()};
  state_.running = {};
}

// ---- batches ----

std::int64_t ModelTrainer::batches_per_epoch() const {
  const std::int64_t size = strategy_.training.batch_size;
  return (dataset_.train.size() + size - 1) / size;  // the last one may be short
}

std::span<const std::int64_t> ModelTrainer::next_batch_rows() {
  const Position& at = state_.position;
  if (order_epoch_ != at.start_epoch) {
    order_ = sample_order(state_.seed, at.start_epoch, dataset_.train.size());
    for (std::int64_t& row : order_) row += dataset_.train.begin;
    order_epoch_ = at.start_epoch;
  }
  const auto size = static_cast<std::size_t>(strategy_.training.batch_size);
  const std::size_t begin = static_cast<std::size_t>(at.start_batch) * size;
  return std::span(order_).subspan(begin, std::min(size, order_.size() - begin));
}

Result<void> ModelTrainer::train_next_batch() {
  const std::span<const std::int64_t> rows = next_batch_rows();
  TRY_ASSIGN(const LossSums sums,
             engine_.train_batch(rows, state_.global_step, state_.schedule.learning_rate));
  if (!std::isfinite(sums.weighted_loss)) return not_finite(state_.position, state_.global_step);
  state_.running += sums;
  ++state_.global_step;
  ++state_.position.start_batch;
  state_.position.validation_pending = state_.position.start_batch == batches_per_epoch();
  report(api::Phase::kTraining);
  return {};
}

// ---- the end of an epoch ----

Result<bool> ModelTrainer::finish_epoch(const StopSignal& stop) {
  TRY_ASSIGN(const std::optional<LossSums> validation, validate(stop));
  if (!validation) return false;
  commit_epoch(*validation);
  observer_.on_epoch(state_.history.back());
  return true;
}

Result<std::optional<LossSums>> ModelTrainer::validate(const StopSignal& stop) {
  LossSums sums;
  const strategy::RowRange rows = dataset_.validation;
  for (std::int64_t begin = rows.begin; begin < rows.end; begin += options_.validation_chunk_rows) {
    report(api::Phase::kValidating);
    const std::int64_t end = std::min(rows.end, begin + options_.validation_chunk_rows);
    TRY_ASSIGN(const LossSums chunk, engine_.evaluate({begin, end}, nullptr));
    sums += chunk;
    if (stop.is_set()) return std::optional<LossSums>();
  }
  return std::optional(sums);
}

// Nothing in here can fail or be interrupted, so an epoch is completed entirely or not at all.
void ModelTrainer::commit_epoch(const LossSums& validation) {
  const std::int64_t epoch = state_.position.start_epoch;
  const double loss = validation.mean_loss(), accuracy = validation.accuracy();
  state_.history.push_back({.epoch = epoch,
                            .train_loss = state_.running.mean_loss(),
                            .train_accuracy = state_.running.accuracy(),
                            .val_loss = loss,
                            .val_accuracy = accuracy,
                            .learning_rate = state_.schedule.learning_rate});
  remember_best(epoch, loss, accuracy);
  step_schedule(strategy_.training.schedule, loss, state_.schedule);
  const auto& rule = strategy_.training.early_stopping;
  state_.stopped_early = rule && judge_epoch(*rule, loss, accuracy, state_.early_stopping);
  state_.running = {};
  state_.position = {.start_epoch = epoch + 1, .finished = state_.stopped_early || epoch + 1 == epochs()};
  policy_->epoch_completed();
}

void ModelTrainer::remember_best(std::int64_t epoch, double loss, double accuracy) {
  if (!(loss < state_.best.validation_loss)) return;  // also when it is NaN
  state_.best = {.epoch = epoch, .validation_loss = loss, .validation_accuracy = accuracy};
  if (sink_.idle()) snapshot_.best_model.reset();  // nobody reads it any more
  best_model_.remember(engine_);
}

// ---- checkpoints and stops ----

void ModelTrainer::take() {
  take_snapshot(engine_, state_, state_.best.exists() ? best_model_.share() : nullptr, snapshot_);
  ++checkpoints_taken_;
}

void ModelTrainer::save_if_due() {
  if (!policy_->wanted() || !sink_.idle() || !policy_->due(sink_.background_cost())) return;
  observer_.on_checkpoint_begins();
  const Duration before = clock_.monotonic();
  take();
  sink_.save_in_background(snapshot_, api::CheckpointType::kPeriodic);
  const Duration pause = clock_.monotonic() - before;
  observer_.on_checkpoint_pause(pause);
  policy_->taken(pause, sink_.background_cost());
  paused_ += pause;
}

TrainingOutcome ModelTrainer::stop_here(StopRequest request) {
  TrainingOutcome stopped = outcome(TrainingOutcome::Kind::kStopped);
  stopped.stop = request;
  if (request == StopRequest::kAbandon) {
    stopped.kind = TrainingOutcome::Kind::kAbandoned;
    return stopped;
  }
  report(api::Phase::kSaving);
  sink_.wait_until_idle();
  take();
  const bool cancelled = request == StopRequest::kCancel;
  Result<void> saved = sink_.save_now(
      snapshot_, cancelled ? api::CheckpointType::kCancellation : api::CheckpointType::kShutdown);
  if (!saved.ok()) stopped.save_error = std::move(saved).error();
  stopped.timing = timing();
  return stopped;
}

// ---- the end ----

Result<TrainingOutcome> ModelTrainer::evaluate() {
  report(api::Phase::kEvaluating);
  TrainingOutcome completed = outcome(TrainingOutcome::Kind::kCompleted);
  completed.metrics = metrics();
  if (state_.best.exists()) {
    TRY(engine_.restore_model(best_model_.share()->views()));
  }
  std::vector<std::int64_t> predictions;
  TRY_ASSIGN(const LossSums sums, engine_.evaluate(dataset_.test, &predictions));
  const auto labels = std::span(dataset_.labels)
                          .subspan(static_cast<std::size_t>(dataset_.test.begin),
                                   static_cast<std::size_t>(dataset_.test.size()));
  completed.report = make_test_report(sums, labels, predictions);
  engine_.snapshot_model(completed.model);
  completed.timing = timing();
  return completed;
}

// The evaluation failed, but all the training is done and sound: a resume need only evaluate. (The engine may
// hold the best model already in place of the last one; nothing but the evaluation is left, and that asks for
// the best.)
void ModelTrainer::save_finished_training() {
  sink_.wait_until_idle();
  take();
  const Result<void> saved = sink_.save_now(snapshot_, api::CheckpointType::kFailure);
  if (!saved.ok())
    log(LogLevel::kWarning, "The finished training was not saved", {{"error", saved.error().describe()}});
}

api::TrainingMetrics ModelTrainer::metrics() const {
  api::TrainingMetrics metrics;
  metrics.epochs_trained = static_cast<std::int64_t>(state_.history.size());
  const api::EpochMetrics& last = state_.history.back();
  metrics.final_loss = metrics.final_train_loss = last.train_loss;
  metrics.final_train_accuracy = last.train_accuracy;
  metrics.final_val_loss = last.val_loss;
  metrics.final_val_accuracy = last.val_accuracy;
  for (const api::EpochMetrics& row : state_.history) {
    metrics.best_train_accuracy = std::max(metrics.best_train_accuracy, row.train_accuracy);
  }
  metrics.best_epoch = state_.best.epoch;
  if (state_.best.exists()) {
    metrics.best_val_loss = state_.best.validation_loss;
    metrics.best_val_accuracy = state_.best.validation_accuracy;
  }
  metrics.stopped_early = state_.stopped_early;
  metrics.history = state_.history;
  return metrics;
}

TrainingOutcome ModelTrainer::outcome(TrainingOutcome::Kind kind) const {
  TrainingOutcome outcome;
  outcome.kind = kind;
  outcome.position = state_.position;
  outcome.timing = timing();
  return outcome;
}

TrainingTiming ModelTrainer::timing() const {
  return {.training_seconds = seconds(clock_.monotonic() - started_),
          .checkpoint_pause_seconds = seconds(paused_),
          .checkpoints_taken = checkpoints_taken_};
}

// ---- what others see ----

void ModelTrainer::report(api::Phase phase) {
  const Duration now = clock_.monotonic();
  if (is_routine(phase) && last_report_ && now - *last_report_ < kReportEvery) return;
  last_report_ = now;
  observer_.on_progress(progress(phase), phase);
}

api::Progress ModelTrainer::progress(api::Phase phase) const {
  const Position& at = state_.position;
  const std::int64_t batches = batches_per_epoch();
  const std::int64_t total = epochs() * batches;
  api::Progress progress;
  progress.steps_completed = std::min(total, at.start_epoch * batches + at.start_batch);
  progress.steps_total = total;
  progress.percentage =
      at.finished ? 100 : 100 * static_cast<double>(progress.steps_completed) / static_cast<double>(total);
  progress.items_processed = at.start_epoch * dataset_.train.size() + state_.running.count;
  progress.items_total = epochs() * dataset_.train.size();
  progress.current_step = describe_step(phase);
  api::ProgressContext& context = progress.context;
  context = {
      .epoch = at.start_epoch, .total_epochs = epochs(), .batch = at.start_batch, .total_batches = batches};
  context.global_step = state_.global_step;
  context.learning_rate = state_.schedule.learning_rate;
  if (state_.best.exists()) context.best_val_loss = state_.best.validation_loss;
  if (!state_.history.empty()) {
    context.train_loss = state_.history.back().train_loss;
    context.train_accuracy = state_.history.back().train_accuracy;
    context.val_loss = state_.history.back().val_loss;
    context.val_accuracy = state_.history.back().val_accuracy;
  }
  if (state_.running.count > 0) {
    context.train_loss = state_.running.mean_loss();
    context.train_accuracy = state_.running.accuracy();
  }
  add_speed(progress);
  return progress;
}

void ModelTrainer::add_speed(api::Progress& progress) const {
  const double elapsed = seconds(clock_.monotonic() - started_);
  const auto steps = static_cast<double>(state_.global_step - steps_at_start_);
  if (elapsed <= 0 || steps <= 0) return;
  const double steps_per_second = steps / elapsed;
  const double rows_per_step =
      static_cast<double>(dataset_.train.size()) / static_cast<double>(batches_per_epoch());
  progress.context.samples_per_second = steps_per_second * rows_per_step;
  progress.context.eta_seconds =
      static_cast<double>(progress.steps_total - progress.steps_completed) / steps_per_second;
}

std::string ModelTrainer::describe_step(api::Phase phase) const {
  const Position& at = state_.position;
  const std::string epoch =
      "epoch " + std::to_string(std::min(at.start_epoch + 1, epochs())) + " of " + std::to_string(epochs());
  switch (phase) {
    case api::Phase::kRestoring: return "Going on with " + epoch;
    case api::Phase::kValidating: return "Validating " + epoch;
    case api::Phase::kSaving: return "Saving a checkpoint in " + epoch;
    case api::Phase::kEvaluating: return "Evaluating on the test rows";
    default:
      return "Training " + epoch + ", batch " + std::to_string(at.start_batch) + " of " +
             std::to_string(batches_per_epoch());
  }
}

}  // namespace ktrdr::training
