// Runs a training: epochs, batches, the end of an epoch, checkpoints, stopping, and the final evaluation. It
// knows no tensor library; see engine.h.
//
// The promise it keeps with the engine: a run that was stopped and resumed at any points ends in the same
// bits as one that never stopped. For that
//  - the order of samples is a function of (seed, epoch) and dropout one of (seed, global step), so a
//  position is only
//    (epoch, batch);
//  - it stops at batch boundaries only, and a checkpoint holds exactly that boundary;
//  - the end of an epoch (validation, best model, history, schedule, early stopping) is one step: a stop
//  inside it
//    leaves "all batches done, validation pending", and the whole step is done again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ktrdr/api/operation.h"
#include "ktrdr/api/training.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/core/result.h"
#include "ktrdr/strategy/dataset.h"
#include "ktrdr/strategy/strategy.h"
#include "ktrdr/training/best_model.h"
#include "ktrdr/training/checkpoint_policy.h"
#include "ktrdr/training/checkpoint_sink.h"
#include "ktrdr/training/engine.h"
#include "ktrdr/training/resume.h"
#include "ktrdr/training/stop_signal.h"
#include "ktrdr/training/training_observer.h"

namespace ktrdr::training {

struct ModelTrainerOptions {
  std::int64_t seed = 0;
  CheckpointPolicyOptions checkpoints;
  // Validation asks the engine in chunks of this many rows, and looks at the stop signal between them. Sums
  // of chunks are added in order, so another size may change the last bit of a loss: it is a constant of the
  // system.
  std::int64_t validation_chunk_rows = 8192;
  // Go on with a checkpoint of another experiment; a position that doesn't fit starts its epoch again.
  bool allow_changes = false;
};

// Times of this process only: the one part of an outcome that may differ between equal runs.
struct TrainingTiming {
  double training_seconds = 0;
  double checkpoint_pause_seconds = 0;  // training waited for checkpoints
  std::int64_t checkpoints_taken = 0;
};

struct TrainingOutcome {
  enum class Kind {
    kCompleted,
    kStopped,   // on request; saved, unless save_error says why not
    kAbandoned  // on request, nothing was saved
  };

  Kind kind = Kind::kCompleted;
  StopRequest stop = StopRequest::kNone;  // of kStopped and kAbandoned
  std::optional<Error> save_error;        // of kStopped: the last checkpoint before it is the newest
  Position position;                      // where it ended
  api::TrainingMetrics metrics;           // of kCompleted, from here on
  api::TestReport report;
  checkpoints::TensorMap model;  // the best model by validation loss; the last one when there was no best
  TrainingTiming timing;
};

// Owned by whoever runs the training; used by one thread, the engine's. What it was given must outlive it.
class ModelTrainer {
 public:
  ModelTrainer(const Clock& clock, Engine& engine, const strategy::Strategy& strategy,
               const strategy::Dataset& dataset, CheckpointSink& sink, TrainingObserver& observer,
               const ModelTrainerOptions& options,
               std::optional<TrainingResumeContext> resume = std::nullopt);

  // Call once. When it returns, the sink reads no snapshot of this trainer any more.
  //
  // Errors: kCheckpointCorrupted or kConflict when the resume context doesn't fit engine, strategy or data
  // (nothing was trained); the sink's error when the initial checkpoint of a fresh run can't be saved (nobody
  // could resume it); kInternal when the loss is no longer a finite number, or the engine failed. After a
  // failed batch no checkpoint is taken: weights that made a loss of NaN may be poisoned already, and
  // resuming from them would repeat the failure. The last periodic checkpoint is the one to resume from.
  Result<TrainingOutcome> train(const StopSignal& stop);

  const TrainerState& state() const { return state_; }

 private:
  Result<TrainingOutcome> run(const StopSignal& stop);
  Result<void> begin();
  Result<void> restore(TrainingResumeContext context);
  Result<void> check_fits(const TrainerState& saved) const;
  void adapt_to_changes();

  Result<void> train_next_batch();
  std::span<const std::int64_t> next_batch_rows();

  // False: a stop was requested inside, nothing has changed.
  Result<bool> finish_epoch(const StopSignal& stop);
  Result<std::optional<LossSums>> validate(const StopSignal& stop);
  void commit_epoch(const LossSums& validation);
  void remember_best(std::int64_t epoch, double loss, double accuracy);

  void take();
  void save_if_due();
  TrainingOutcome stop_here(StopRequest request);
  Result<TrainingOutcome> evaluate();
  void save_finished_training();
  api::TrainingMetrics metrics() const;

  void report(api::Phase phase);
  void report_failed_batch();
  api::Progress progress(api::Phase phase) const;
  void add_speed(api::Progress& progress) const;
  std::string describe_step(api::Phase phase) const;
  TrainingTiming timing() const;
  TrainingOutcome outcome(TrainingOutcome::Kind kind) const;
  std::int64_t batches_per_epoch() const;
  std::int64_t epochs() const { return strategy_.training.epochs; }

  const Clock& clock_;
  Engine& engine_;
  const strategy::Strategy& strategy_;
  const strategy::Dataset& dataset_;
  CheckpointSink& sink_;
  TrainingObserver& observer_;
  ModelTrainerOptions options_;
  std::optional<TrainingResumeContext> resume_;

  TrainerState state_;
  BestModel best_model_;
  TrainingSnapshot snapshot_;
  std::optional<CheckpointPolicy> policy_;  // from the moment training begins

  std::int64_t order_epoch_ = -1;  // whose order order_ holds
  std::vector<std::int64_t> order_;

  Duration started_{0}, paused_{0};
  std::int64_t checkpoints_taken_ = 0;
  std::int64_t steps_at_start_ = 0;
  std::optional<Duration> last_report_;
};

}  // namespace ktrdr::training
