#include "training_state_json.h"

#include <fmt/format.h>

#include <cmath>

#include "json_document.h"

namespace ktrdr::cli {
namespace {

// The shortest text that reads back as the same number of this type.
template <class Number>
std::string number(Number value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "null";
}

std::string truth(bool value) { return value ? "true" : "false"; }

std::string numbers(const auto& values) {
  std::string text;
  for (const auto value : values) text += (text.empty() ? "" : ",") + fmt::format("{}", value);
  return "[" + text + "]";
}

std::string model_json(const strategy::Model& model) {
  return JsonObject()
      .add("type", "mlp")
      .add_json("hidden_layers", numbers(model.hidden_layers))
      .add("activation", strategy::to_string(model.activation))
      .add_json("dropout", number(model.dropout))
      .text();
}

std::string position_json(const training::Position& position) {
  return JsonObject()
      .add("epoch", position.epoch())
      .add("start_epoch", position.start_epoch)
      .add("start_batch", position.start_batch)
      .add_json("validation_pending", truth(position.validation_pending))
      .add_json("finished", truth(position.finished))
      .text();
}

std::string best_json(const training::BestEpoch& best) {
  if (!best.exists()) return "null";
  return JsonObject()
      .add("epoch", best.epoch)
      .add_json("val_loss", number(best.validation_loss))
      .add_json("val_accuracy", number(best.validation_accuracy))
      .text();
}

std::string schedule_json(const strategy::LearningRateSchedule& schedule,
                          const training::ScheduleState& state) {
  return JsonObject()
      .add("type", strategy::to_string(schedule.type))
      .add_json("learning_rate", number(state.learning_rate))
      .add("epochs", state.epochs)
      .add_json("best", number(state.best))
      .add("bad_epochs", state.bad_epochs)
      .text();
}

std::string early_stopping_json(const training::EarlyStoppingState& state) {
  return JsonObject().add_json("best_score", number(state.best_score)).add("misses", state.misses).text();
}

}  // namespace

Result<TrainingState> read_training_state(const checkpoints::VerifiedCheckpoint& checkpoint) {
  auto strategy = strategy::parse_strategy(checkpoint.text(checkpoints::kStrategyFile));
  if (!strategy.ok()) {
    return Error(
        ErrorCode::kUnsupported,
        "The checkpoint has no strategy that this program can read, so the optimizer's settings are not "
        "known; export it with --format safetensors instead.");
  }
  TRY_ASSIGN(auto state, training::read_trainer_state(to_tensor_map(checkpoint.trainer())));
  return TrainingState{*std::move(strategy), std::move(state)};
}

std::string training_state_json(const checkpoints::VerifiedCheckpoint& checkpoint,
                                const TrainingState& training) {
  const auto& [strategy, state] = training;
  return JsonObject()
             .add("format_version", std::int64_t{1})
             .add("operation_id", checkpoint.manifest().operation.value)
             .add("checkpoint", checkpoint.manifest().ref.to_string())
             .add("checkpoint_type", to_string(checkpoint.manifest().checkpoint_type))
             .add("strategy_name", strategy.name)
             .add("seed", state.seed)
             .add_json("model", model_json(strategy.model))
             .add_json("position", position_json(state.position))
             .add("global_step", state.global_step)
             .add("epochs", strategy.training.epochs)
             .add("batch_size", strategy.training.batch_size)
             .add_json("gradient_clip", number(strategy.training.gradient_clip))
             .add_json("class_weights", numbers(state.class_weights))
             .add_json("scheduler", schedule_json(strategy.training.schedule, state.schedule))
             .add_json("early_stopping", early_stopping_json(state.early_stopping))
             .add_json("stopped_early", truth(state.stopped_early))
             .add_json("best", best_json(state.best))
             .add_json("history", json_list(state.history))
             .text() +
         "\n";
}

}  // namespace ktrdr::cli
