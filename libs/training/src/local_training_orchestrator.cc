#include "ktrdr/training/local_training_orchestrator.h"

#include <cmath>
#include <utility>

#include "ktrdr/api/json.h"
#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/core/check.h"
#include "ktrdr/core/digest.h"
#include "ktrdr/core/log.h"
#include "ktrdr/strategy/labels.h"

namespace ktrdr::training {
namespace {

void report_preparing(TrainingObserver& observer, std::string step) {
  api::Progress progress;
  progress.current_step = std::move(step);
  observer.on_progress(progress, api::Phase::kPreparing);
}

std::string json_string(const std::string& text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') quoted += '\\';
    if (byte < 0x20) {
      quoted += std::string("\\u00") + kHex[byte >> 4] + kHex[byte & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

api::JsonText json_object(const std::map<std::string, std::string>& entries) {
  std::string text;
  for (const auto& [key, value] : entries) {
    text += (text.empty() ? "" : ", ") + json_string(key) + ": " + json_string(value);
  }
  return {"{" + text + "}"};
}

}  // namespace

LocalTrainingOrchestrator::LocalTrainingOrchestrator(const Clock& clock, TrainingObserver& observer,
                                                     TrainingAssignment assignment)
    : clock_(clock), observer_(observer), assignment_(std::move(assignment)) {}

Result<LocalTrainingOrchestrator> LocalTrainingOrchestrator::prepare(const Clock& clock,
                                                                     EngineFactory& engines,
                                                                     TrainingObserver& observer,
                                                                     TrainingAssignment assignment) {
  LocalTrainingOrchestrator prepared(clock, observer, std::move(assignment));
  TRY(prepared.prepare_data());
  TRY(prepared.check_fingerprint());
  report_preparing(observer, "Building the model");
  TRY_ASSIGN(prepared.engine_,
             engines.create(*prepared.strategy_, *prepared.dataset_, prepared.assignment_.request.seed));
  prepared.set_identity();
  return prepared;
}

Result<void> LocalTrainingOrchestrator::prepare_data() {
  const api::TrainingRequest& request = assignment_.request;
  report_preparing(observer_, "Reading the strategy");
  TRY_ASSIGN(strategy::Strategy strategy, strategy::parse_strategy(request.strategy_yaml));
  report_preparing(observer_, "Preparing " + strategy.symbol + " " + strategy.timeframe);
  TRY_ASSIGN(strategy::Dataset dataset, strategy::prepare_dataset(strategy, {.folder = request.data_dir,
                                                                             .start_ms = request.start_ms,
                                                                             .end_ms = request.end_ms}));
  strategy_ = std::make_unique<strategy::Strategy>(std::move(strategy));
  dataset_ = std::make_unique<strategy::Dataset>(std::move(dataset));
  return {};
}

Result<void> LocalTrainingOrchestrator::check_fingerprint() const {
  const api::TrainingRequest& request = assignment_.request;
  if (request.data_fingerprint == dataset_->fingerprint) return {};
  const std::string difference =
      "The data of " + strategy_->symbol + " " + strategy_->timeframe +
      " in the market data folder is no longer what this training was started with "
      "(fingerprint " +
      dataset_->fingerprint + " instead of " + request.data_fingerprint + ")";
  if (!request.allow_changes) {
    return Error(ErrorCode::kConflict, difference +
                                           ". Restore the file, or go on all the same with "
                                           "'ktrdr resume ID --allow-changes'.");
  }
  log(LogLevel::kWarning, difference, {{"operation", assignment_.operation.value}});
  return {};
}

void LocalTrainingOrchestrator::set_identity() {
  identity_ = engine_->identity();
  const std::pair<std::string, std::string> ours[] = {
      {"strategy_sha256", sha256_hex(assignment_.request.strategy_yaml)},
      {"data_fingerprint", dataset_->fingerprint},
      {"seed", std::to_string(assignment_.request.seed)}};
  for (const auto& entry : ours)
    CHECK(identity_.insert(entry).second, "an engine names other things than we do");
}

ModelTrainerOptions LocalTrainingOrchestrator::trainer_options() const {
  const api::TrainingRequest& request = assignment_.request;
  ModelTrainerOptions options{.seed = request.seed, .allow_changes = request.allow_changes};
  options.checkpoints.every_epochs = request.checkpoint_every_epochs;
  options.checkpoints.every = Duration(std::llround(request.checkpoint_every_seconds * 1000));
  options.checkpoints.overhead_budget = request.checkpoint_budget_percent / 100;
  return options;
}

Result<FinishedTraining> LocalTrainingOrchestrator::run(CheckpointSink& sink, const StopSignal& stop,
                                                        std::optional<TrainingResumeContext> resume) {
  if (resume) TRY(check_same_experiment(resume->identity, identity_, assignment_.request.allow_changes));
  ModelTrainer trainer(clock_, *engine_, *strategy_, *dataset_, sink, observer_, trainer_options(),
                       std::move(resume));
  TRY_ASSIGN(TrainingOutcome outcome, trainer.train(stop));
  return finish(std::move(outcome));
}

// ---- the finished model ----

Result<FinishedTraining> LocalTrainingOrchestrator::finish(TrainingOutcome outcome) const {
  FinishedTraining finished;
  finished.outcome = std::move(outcome);
  if (finished.outcome.kind != TrainingOutcome::Kind::kCompleted) return finished;
  finished.result = {.seed = assignment_.request.seed,
                     .training_metrics = finished.outcome.metrics,
                     .test_metrics = finished.outcome.report,
                     .model_info = model_info(),
                     .data_summary = data_summary()};
  TRY(add_files(finished));
  return finished;
}

Result<void> LocalTrainingOrchestrator::add_files(FinishedTraining& finished) const {
  const TrainingOutcome& outcome = finished.outcome;
  TRY_ASSIGN(checkpoints::FileContent model,
             checkpoints::tensor_file(std::string(checkpoints::kModelFile), outcome.model));
  finished.files.push_back(std::move(model));
  const std::pair<std::string, std::string> texts[] = {
      {std::string(checkpoints::kStrategyFile), assignment_.request.strategy_yaml},
      {"metrics.json", api::to_pretty_json(outcome.metrics)},
      {"test_report.json", api::to_pretty_json(outcome.report)},
      {"features.json", api::to_pretty_json(features_file())},
      {"metadata.json", api::to_pretty_json(metadata())},
      {"timing.json", api::to_pretty_json(model_timing(outcome.timing))}};
  for (const auto& [name, text] : texts) finished.files.push_back(checkpoints::text_file(name, text));
  return {};
}

api::ModelInfo LocalTrainingOrchestrator::model_info() const {
  return {.architecture = "mlp",
          .input_size = dataset_->columns,
          .output_size = strategy::kLabelClasses,
          .parameters = engine_->parameter_count(),
          .hidden_layers = strategy_->model.hidden_layers};
}

api::DataSummary LocalTrainingOrchestrator::data_summary() const {
  return {.symbol = strategy_->symbol,
          .timeframe = strategy_->timeframe,
          .first_timestamp = iso8601_utc(dataset_->first_timestamp_ms),
          .last_timestamp = iso8601_utc(dataset_->last_timestamp_ms),
          .fingerprint = dataset_->fingerprint,
          .rows = dataset_->rows,
          .features = dataset_->columns,
          .train_rows = dataset_->train.size(),
          .validation_rows = dataset_->validation.size(),
          .test_rows = dataset_->test.size()};
}

api::FeaturesFile LocalTrainingOrchestrator::features_file() const {
  api::FeaturesFile file;
  file.features = dataset_->feature_names;
  file.feature_count = dataset_->columns;
  for (const strategy::Normalization& entry : dataset_->normalization) {
    file.normalization.push_back(
        {entry.feature, std::string(strategy::to_string(entry.method)), entry.offset, entry.scale});
  }
  file.classes = {"BUY", "HOLD", "SELL"};
  return file;
}

api::ModelMetadata LocalTrainingOrchestrator::metadata() const {
  return {.strategy_name = strategy_->name,
          .strategy_version = strategy_->version,
          .strategy_sha256 = identity_.at("strategy_sha256"),
          .symbol = strategy_->symbol,
          .timeframe = strategy_->timeframe,
          .model_type = "mlp",
          .seed = assignment_.request.seed,
          .model_info = model_info(),
          .data_summary = data_summary(),
          .identity = json_object(identity_)};
}

api::ModelTiming LocalTrainingOrchestrator::model_timing(const TrainingTiming& timing) const {
  return {.operation_id = assignment_.operation.value,
          .attempt = assignment_.attempt,
          .finished_at = iso8601_utc(clock_.wall_ms()),
          .training_seconds_this_attempt = timing.training_seconds,
          .checkpoint_pause_seconds = timing.checkpoint_pause_seconds,
          .checkpoints_written = timing.checkpoints_taken};
}

}  // namespace ktrdr::training
