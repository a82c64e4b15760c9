#include "ktrdr/training/trainer_state.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace ktrdr::training {
namespace {

using checkpoints::TensorMap;

constexpr std::int64_t kVersion = 1;

// The lists of the state as columns, which is how they are stored.
struct Columns {
  std::vector<std::int64_t> epoch, present;  // present: bit i says whether the i-th optional value exists
  std::vector<double> train_loss, train_accuracy, val_loss, val_accuracy, learning_rate;
  std::vector<std::int64_t> column, method;
  std::vector<double> offset, scale;
};

using Metric = std::pair<std::optional<double> api::EpochMetrics::*, std::vector<double> Columns::*>;
constexpr Metric kMetrics[] = {{&api::EpochMetrics::train_loss, &Columns::train_loss},
                               {&api::EpochMetrics::train_accuracy, &Columns::train_accuracy},
                               {&api::EpochMetrics::val_loss, &Columns::val_loss},
                               {&api::EpochMetrics::val_accuracy, &Columns::val_accuracy}};
constexpr std::int64_t kAllPresent = 15;

// The one list of what is stored under which name; writing and reading both follow it.
template <class State, class TheColumns, class Visitor>
void visit(State& state, TheColumns& columns, Visitor&& field) {
  field("seed", state.seed);
  field("position.start_epoch", state.position.start_epoch);
  field("position.start_batch", state.position.start_batch);
  field("position.validation_pending", state.position.validation_pending);
  field("position.finished", state.position.finished);
  field("global_step", state.global_step);
  field("stopped_early", state.stopped_early);
  field("running.weighted_loss", state.running.weighted_loss);
  field("running.weight", state.running.weight);
  field("running.plain_loss", state.running.plain_loss);
  field("running.correct", state.running.correct);
  field("running.count", state.running.count);
  field("best.epoch", state.best.epoch);
  field("best.val_loss", state.best.validation_loss);
  field("best.val_accuracy", state.best.validation_accuracy);
  field("schedule.learning_rate", state.schedule.learning_rate);
  field("schedule.epochs", state.schedule.epochs);
  field("schedule.best", state.schedule.best);
  field("schedule.bad_epochs", state.schedule.bad_epochs);
  field("early_stopping.best_score", state.early_stopping.best_score);
  field("early_stopping.misses", state.early_stopping.misses);
  field("class_weights", state.class_weights);
  field("history.epoch", columns.epoch);
  field("history.present", columns.present);
  field("history.train_loss", columns.train_loss);
  field("history.train_accuracy", columns.train_accuracy);
  field("history.val_loss", columns.val_loss);
  field("history.val_accuracy", columns.val_accuracy);
  field("history.learning_rate", columns.learning_rate);
  field("normalization.column", columns.column);
  field("normalization.method", columns.method);
  field("normalization.offset", columns.offset);
  field("normalization.scale", columns.scale);
}

struct Writer {
  TensorMap& map;

  void operator()(std::string_view name, std::int64_t value) { map.put_scalar(name, value); }
  void operator()(std::string_view name, bool value) { map.put_scalar(name, std::int64_t{value}); }
  void operator()(std::string_view name, double value) { map.put_scalar(name, value); }
  void operator()(std::string_view name, const std::vector<float>& values) { map.put_f32(name, values); }
  void operator()(std::string_view name, const std::vector<double>& values) { map.put_f64(name, values); }
  void operator()(std::string_view name, const std::vector<std::int64_t>& values) {
    map.put_i64(name, values);
  }
};

Error corrupted(std::string_view what) {
  return {ErrorCode::kCheckpointCorrupted, "The trainer's state is damaged: " + std::string(what) + "."};
}

// Keeps the first error; the fields after it stay as they are.
struct Reader {
  const TensorMap& map;
  Result<void> result = {};
  std::size_t fields = 0;

  void operator()(std::string_view name, std::int64_t& value) { take(map.i64_scalar(name), name, value); }
  void operator()(std::string_view name, double& value) { take(map.f64_scalar(name), name, value); }
  void operator()(std::string_view name, std::vector<float>& values) {
    take_all(map.f32(name), name, values);
  }
  void operator()(std::string_view name, std::vector<double>& values) {
    take_all(map.f64(name), name, values);
  }
  void operator()(std::string_view name, std::vector<std::int64_t>& values) {
    take_all(map.i64(name), name, values);
  }
  void operator()(std::string_view name, bool& value) {
    std::int64_t number = 0;
    (*this)(name, number);
    if (result.ok() && number != 0 && number != 1)
      result = corrupted(std::string(name) + " is neither 0 nor 1");
    value = number == 1;
  }

 private:
  template <class Value>
  void take(Result<Value> found, std::string_view name, Value& value) {
    ++fields;
    if (!result.ok()) return;
    if (!found.ok()) {
      result = corrupted(std::string(name) + ": " + found.error().message);
      return;
    }
    value = *found;
  }
  template <class Value>
  void take_all(Result<std::span<const Value>> found, std::string_view name, std::vector<Value>& values) {
    std::span<const Value> span;
    take(std::move(found), name, span);
    values.assign(span.begin(), span.end());
    if (result.ok() && map.find(name)->shape.size() != 1) {
      result = corrupted(std::string(name) + " is not a list");
    }
  }
};

Columns to_columns(const TrainerState& state) {
  Columns columns;
  for (const api::EpochMetrics& row : state.history) {
    std::int64_t present = 0;
    for (std::size_t i = 0; i < std::size(kMetrics); ++i) {
      const std::optional<double>& value = row.*kMetrics[i].first;
      (columns.*kMetrics[i].second).push_back(value.value_or(0));
      if (value) present |= std::int64_t{1} << i;
    }
    columns.epoch.push_back(row.epoch);
    columns.present.push_back(present);
    columns.learning_rate.push_back(row.learning_rate);
  }
  for (const NormalizationConstants& constants : state.normalization) {
    columns.column.push_back(constants.column);
    columns.method.push_back(constants.method);
    columns.offset.push_back(constants.offset);
    columns.scale.push_back(constants.scale);
  }
  return columns;
}

Result<void> check_lengths(const Columns& columns, std::int64_t epochs) {
  for (const std::size_t length : {columns.epoch.size(), columns.present.size(), columns.train_loss.size(),
                                   columns.train_accuracy.size(), columns.val_loss.size(),
                                   columns.val_accuracy.size(), columns.learning_rate.size()}) {
    if (static_cast<std::int64_t>(length) != epochs)
      return corrupted("the history has not one row per epoch");
  }
  for (const std::size_t length : {columns.method.size(), columns.offset.size(), columns.scale.size()}) {
    if (length != columns.column.size()) return corrupted("the normalization's columns differ in length");
  }
  return {};
}

Result<void> from_columns(const Columns& columns, TrainerState& state) {
  TRY(check_lengths(columns, state.position.start_epoch));
  for (std::size_t row = 0; row < columns.epoch.size(); ++row) {
    if (columns.epoch[row] != static_cast<std::int64_t>(row)) return corrupted("the history skips an epoch");
    if (columns.present[row] < 0 || columns.present[row] > kAllPresent) {
      return corrupted("history.present is out of range");
    }
    api::EpochMetrics metrics{.epoch = columns.epoch[row], .learning_rate = columns.learning_rate[row]};
    for (std::size_t i = 0; i < std::size(kMetrics); ++i) {
      if ((columns.present[row] >> i) & 1) metrics.*kMetrics[i].first = (columns.*kMetrics[i].second)[row];
    }
    state.history.push_back(metrics);
  }
  for (std::size_t i = 0; i < columns.column.size(); ++i) {
    state.normalization.push_back(
        {columns.column[i], columns.method[i], columns.offset[i], columns.scale[i]});
  }
  return {};
}

// What no trainer writes.
Result<void> check_values(const TrainerState& state) {
  const Position& at = state.position;
  const std::pair<bool, std::string_view> rules[] = {
      {at.start_epoch >= 0 && at.start_batch >= 0 && state.global_step >= 0, "a position is negative"},
      {!(at.finished && (at.validation_pending || at.start_batch != 0)), "it is finished inside an epoch"},
      {!at.finished || at.start_epoch > 0, "it is finished without an epoch"},
      {!state.stopped_early || at.finished, "it stopped early but is not finished"},
      {!at.validation_pending || at.start_batch > 0, "a validation is pending without a batch"},
      {state.running.count >= 0 && state.running.correct >= 0 && state.running.correct <= state.running.count,
       "running.correct is out of range"},
      {at.start_batch > 0 || state.running == LossSums{}, "an epoch that has not begun has sums"},
      {state.best.epoch >= -1 && state.best.epoch < at.start_epoch, "best.epoch is not a completed epoch"},
      {state.schedule.epochs >= 0 && state.schedule.bad_epochs >= 0, "a count of the schedule is negative"},
      {state.early_stopping.misses >= 0, "early_stopping.misses is negative"}};
  for (const auto& [holds, otherwise] : rules) {
    if (!holds) return corrupted(otherwise);
  }
  return {};
}

}  // namespace

std::vector<NormalizationConstants> normalization_constants(const strategy::Dataset& dataset) {
  std::vector<NormalizationConstants> constants;
  for (const strategy::Normalization& entry : dataset.normalization) {
    constants.push_back({entry.column, static_cast<std::int64_t>(entry.method), entry.offset, entry.scale});
  }
  return constants;
}

TrainerState initial_state(const strategy::Training& training, const strategy::Dataset& dataset,
                           std::int64_t seed) {
  TrainerState state;
  state.seed = seed;
  state.schedule = start_schedule(training.learning_rate);
  state.class_weights = dataset.class_weights;
  state.normalization = normalization_constants(dataset);
  return state;
}

void write_trainer_state(const TrainerState& state, TensorMap& into) {
  into.put_scalar("version", kVersion);
  const Columns columns = to_columns(state);
  visit(state, columns, Writer{into});
}

Result<TrainerState> read_trainer_state(const TensorMap& from) {
  TRY_ASSIGN(const std::int64_t version, from.i64_scalar("version"));
  if (version != kVersion) {
    return Error(ErrorCode::kUnsupported, "The trainer's state has version " + std::to_string(version) +
                                              ", this program reads version " + std::to_string(kVersion) +
                                              "; use the program that wrote it or a newer one.");
  }
  TrainerState state;
  Columns columns;
  Reader reader{from};
  visit(state, columns, reader);
  TRY(std::move(reader.result));
  if (from.size() != reader.fields + 1) return corrupted("it holds a tensor that is not known here");
  TRY(check_values(state));
  TRY(from_columns(columns, state));
  return state;
}

}  // namespace ktrdr::training
