// One training from the request in the operation's row to the files of a finished model, in this process.
//
//   TRY_ASSIGN(auto orchestrator, LocalTrainingOrchestrator::prepare(clock, engines, observer, assignment));
//   Sink sink(..., orchestrator.identity());
//   TRY_ASSIGN(FinishedTraining finished, orchestrator.run(sink, stop, std::move(resume_context)));
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/api/training.h"
#include "ktrdr/checkpoints/file_content.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/core/result.h"
#include "ktrdr/training/model_trainer.h"

namespace ktrdr::training {

struct TrainingAssignment {
  OperationId operation;
  Attempt attempt = 0;
  api::TrainingRequest request;
};

// What LocalTrainingOrchestrator::run() ends with. `files` borrow the tensors of `outcome.model`: moving the
// whole struct is fine, taking the model out of it is not.
struct FinishedTraining {
  TrainingOutcome outcome;
  // Of a completed run only: model.safetensors, strategy.yaml, metrics.json, test_report.json, features.json,
  // metadata.json, which equal runs have bit for bit, and timing.json.
  std::vector<checkpoints::FileContent> files;
  api::TrainingResult result;  // the caller fills in model_path and model_sha256
};

// Used by one thread, the training thread; movable until run() is called.
class LocalTrainingOrchestrator {
 public:
  // Parses the strategy, prepares the data, compares them with what the request pinned, and builds the model.
  // Phase: preparing. kInvalidArgument when strategy or data are wrong; kConflict when the data is no longer
  // what the run was started with (unless request.allow_changes).
  static Result<LocalTrainingOrchestrator> prepare(const Clock& clock, EngineFactory& engines,
                                                   TrainingObserver& observer, TrainingAssignment assignment);

  // What every checkpoint's manifest must record: strategy_sha256, data_fingerprint, seed, and the engine's
  // identity.
  const std::map<std::string, std::string>& identity() const { return identity_; }
  const strategy::Strategy& strategy() const { return *strategy_; }
  const strategy::Dataset& dataset() const { return *dataset_; }

  // Trains, from the beginning or from a checkpoint. Call once. Errors: check_same_experiment()'s,
  // ModelTrainer's.
  Result<FinishedTraining> run(CheckpointSink& sink, const StopSignal& stop,
                               std::optional<TrainingResumeContext> resume = std::nullopt);

 private:
  LocalTrainingOrchestrator(const Clock& clock, TrainingObserver& observer, TrainingAssignment assignment);

  Result<void> prepare_data();
  Result<void> check_fingerprint() const;
  void set_identity();
  ModelTrainerOptions trainer_options() const;
  Result<FinishedTraining> finish(TrainingOutcome outcome) const;
  Result<void> add_files(FinishedTraining& finished) const;

  api::ModelInfo model_info() const;
  api::DataSummary data_summary() const;
  api::FeaturesFile features_file() const;
  api::ModelMetadata metadata() const;
  api::ModelTiming model_timing(const TrainingTiming& timing) const;

  const Clock& clock_;
  TrainingObserver& observer_;
  TrainingAssignment assignment_;
  // On the heap, because the engine and the trainer hold references to them while this object may move.
  std::unique_ptr<strategy::Strategy> strategy_;
  std::unique_ptr<strategy::Dataset> dataset_;
  std::unique_ptr<Engine> engine_;
  std::map<std::string, std::string> identity_;
};

}  // namespace ktrdr::training
