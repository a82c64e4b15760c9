// training: labels, split, and everything the trainer does. Each key that is accepted here reaches the
// Training struct, or is refused: the Python system accepts optimizer, schedule, early stopping and clipping,
// and then trains without them.
#include <cmath>

#include "strategy_sections.h"

namespace ktrdr::strategy {
namespace {

constexpr IntegerRange kEpochs{1, 100'000};
constexpr IntegerRange kBatchSize{1, 1'048'576};
constexpr NumberRange kLearningRate{.minimum = 0, .maximum = 10, .without_minimum = true};
constexpr NumberRange kNotNegative{.minimum = 0};
constexpr NumberRange kPositive{.minimum = 0, .without_minimum = true};
constexpr NumberRange kShare{.minimum = 0, .maximum = 1, .without_minimum = true, .without_maximum = true};
constexpr NumberRange kFactor{.minimum = 0, .maximum = 1, .without_minimum = true};
constexpr NumberRange kBeta{.minimum = 0, .maximum = 1, .without_maximum = true};

constexpr Choice<OptimizerType> kOptimizers[] = {{"adam", OptimizerType::kAdam}};
constexpr std::string_view kOptimizersNotBuilt[] = {"sgd", "rmsprop"};
constexpr Choice<Loss> kLosses[] = {{"cross_entropy", Loss::kCrossEntropy}};
constexpr std::string_view kLossesNotBuilt[] = {"focal", "huber", "mse"};
constexpr Choice<ScheduleType> kSchedules[] = {{"none", ScheduleType::kNone},
                                               {"step", ScheduleType::kStep},
                                               {"reduce_on_plateau", ScheduleType::kReduceOnPlateau}};
constexpr std::string_view kSchedulesNotBuilt[] = {"exponential"};
constexpr Choice<Monitor> kMonitors[] = {{"val_loss", Monitor::kValidationLoss},
                                         {"val_accuracy", Monitor::kValidationAccuracy}};
constexpr Choice<LabelSource> kLabelSources[] = {{"zigzag", LabelSource::kZigZag}};
constexpr std::string_view kLabelSourcesNotBuilt[] = {"forward_return", "triple_barrier", "context",
                                                      "regime"};

template <class T, std::size_t size>
std::string_view name_of(const Choice<T> (&choices)[size], T value) {
  for (const Choice<T>& choice : choices) {
    if (choice.value == value) return choice.name;
  }
  return "";
}

bool is_off(const Value& value) {
  return value.node.IsNull() || (value.node.IsScalar() && lower_case(value.node.Scalar()) == "false");
}

bool is_bare_true(const Value& value) {
  return value.node.IsScalar() && lower_case(value.node.Scalar()) == "true";
}

void read_labels(Section& section, Labels& labels) {
  const Value* source = section.find("source");
  if (source != nullptr &&
      !read_choice(*source, Choices<LabelSource>{kLabelSources, kLabelSourcesNotBuilt}, section.problems())) {
    return;  // the other keys belong to that source
  }
  section.number("zigzag_threshold", labels.zigzag_threshold, kShare);
  std::int64_t unused = 0;  // written in every file, read by nobody: ZigZag looks as far as its next pivot
  section.integer("label_lookahead", unused, {1, 1'000'000});
  section.refuse_unknown_keys();
}

void read_split(Section& section, Split& split) {
  bool all_fit = section.number("train", split.train, kShare);
  all_fit &= section.number("validation", split.validation, kShare);
  all_fit &= section.number("test", split.test, kShare);
  section.refuse_unknown_keys();
  constexpr double kRounding = 1e-9;
  const double sum = split.train + split.validation + split.test;
  if (all_fit && std::abs(sum - 1) > kRounding) {
    section.problems().invalid(section.line(), section.path(),
                               "train, validation and test must sum to 1, not " + number_text(sum));
  }
}

void read_betas(const Value& value, Optimizer& optimizer, Problems& problems) {
  const auto items = read_list(value, "two numbers", problems);
  if (!items) return;
  if (items->size() != 2)
    return problems.invalid(value.line, value.path, "must be two numbers, like [0.9, 0.999]");
  optimizer.beta1 = read_number(items->at(0), kBeta, problems).value_or(optimizer.beta1);
  optimizer.beta2 = read_number(items->at(1), kBeta, problems).value_or(optimizer.beta2);
}

// `optimizer: adam`, or `optimizer: {type: adam, weight_decay: 0.0001, betas: [0.9, 0.999], eps: 1.0e-8}`.
// False when it is another optimizer, whose keys can't be judged.
bool read_optimizer(const Value& value, Optimizer& optimizer, Problems& problems) {
  const Choices<OptimizerType> choices{kOptimizers, kOptimizersNotBuilt};
  if (!value.node.IsMap()) return read_choice(value, choices, problems).has_value();
  Section section(value, problems);
  const Value* type = section.require("type", "type: adam");
  if (type == nullptr || !read_choice(*type, choices, problems)) return false;
  section.number("weight_decay", optimizer.weight_decay, kNotNegative);
  section.number("eps", optimizer.epsilon, kPositive);
  if (const Value* betas = section.find("betas")) read_betas(*betas, optimizer, problems);
  section.refuse_unknown_keys();
  return true;
}

void read_schedule_section(Section& section, LearningRateSchedule& schedule) {
  schedule.type = ScheduleType::kStep;  // as the Python system reads a mapping without a type
  const Value* type = section.find("type");
  if (type != nullptr) {
    const auto chosen =
        read_choice(*type, Choices<ScheduleType>{kSchedules, kSchedulesNotBuilt}, section.problems());
    if (!chosen) return;
    schedule.type = *chosen;
  }
  if (schedule.type == ScheduleType::kStep) {
    section.integer("step_size", schedule.step_size, kEpochs);
    section.number("gamma", schedule.gamma, kFactor);
  } else if (schedule.type == ScheduleType::kReduceOnPlateau) {
    section.number("factor", schedule.factor, kShare);
    section.integer("patience", schedule.patience, {0, kEpochs.maximum});
    section.number("threshold", schedule.threshold, kNotNegative);
    section.number("min_lr", schedule.minimum_learning_rate, kNotNegative);
  }
  section.refuse_unknown_keys();
}

// `none`, the name of a schedule, or a mapping with a type.
void read_schedule(const Value& value, LearningRateSchedule& schedule, Problems& problems) {
  if (is_off(value)) return;
  if (is_bare_true(value)) {
    problems.invalid(value.line, value.path,
                     "true does not say which; write {type: step, step_size: 30, gamma: 0.1} or {type: "
                     "reduce_on_plateau, factor: 0.5, patience: 5}");
    return;
  }
  if (value.node.IsMap()) {
    Section section(value, problems);
    return read_schedule_section(section, schedule);
  }
  const auto chosen = read_choice(value, Choices<ScheduleType>{kSchedules, kSchedulesNotBuilt}, problems);
  schedule.type = chosen.value_or(schedule.type);
}

void read_early_stopping(const Value& value, std::optional<EarlyStopping>& target, Problems& problems) {
  if (is_off(value)) return;
  if (is_bare_true(value)) {
    problems.invalid(value.line, value.path,
                     "true does not say when; write {patience: 10, min_delta: 0.001, monitor: val_loss}");
    return;
  }
  Section section(value, problems);
  EarlyStopping stopping;
  section.integer("patience", stopping.patience, kEpochs);
  section.number("min_delta", stopping.minimum_delta, kNotNegative);
  section.choice("monitor", stopping.monitor, Choices<Monitor>{kMonitors});
  const Value* enabled = section.find("enabled");
  section.refuse_unknown_keys();
  if (enabled == nullptr || read_boolean(*enabled, problems) == true) target = stopping;
}

// A key that would change nothing is a mistake about what is trained.
void refuse_without_effect(Section& section, std::string_view key, std::string_view goes_with) {
  if (const Value* value = section.find(key)) {
    section.problems().invalid(value->line, value->path,
                               "has an effect only with " + std::string(goes_with) + "; remove it");
  }
}

void read_loss(Section& section, Training& training) {
  const Value* loss = section.find("loss");
  const auto chosen = loss == nullptr
                          ? Loss::kCrossEntropy
                          : read_choice(*loss, Choices<Loss>{kLosses, kLossesNotBuilt}, section.problems());
  section.accept({"focal_gamma", "huber_delta"});
  if (!chosen) return;
  training.loss = *chosen;
  refuse_without_effect(section, "focal_gamma", "loss: focal");
  refuse_without_effect(section, "huber_delta", "loss: huber");
}

void read_weight_decay(Section& section, Training& training) {
  const Value* beside = section.find("weight_decay");
  const Value* optimizer = section.find("optimizer");
  if (beside == nullptr) return;
  if (optimizer != nullptr && optimizer->node.IsMap() && optimizer->node["weight_decay"].IsDefined()) {
    section.problems().invalid(beside->line, beside->path,
                               "is also written in " + optimizer->path + "; keep one of them");
  }
  section.number("weight_decay", training.optimizer.weight_decay, kNotNegative);
}

constexpr std::string_view kTrainerKeys[] = {"epochs",       "batch_size",    "learning_rate", "optimizer",
                                             "weight_decay", "momentum",      "gradient_clip", "loss",
                                             "lr_scheduler", "early_stopping"};

void read_trainer_keys(Section& section, Training& training) {
  section.integer("epochs", training.epochs, kEpochs);
  section.integer("batch_size", training.batch_size, kBatchSize);
  section.number("learning_rate", training.learning_rate, kLearningRate);
  section.number("gradient_clip", training.gradient_clip, {});
  const Value* optimizer = section.find("optimizer");
  section.accept({"momentum", "analytics", "progress_update_frequency"});
  if (optimizer == nullptr || read_optimizer(*optimizer, training.optimizer, section.problems())) {
    refuse_without_effect(section, "momentum", "optimizer: sgd");
  }
  read_weight_decay(section, training);
  read_loss(section, training);
  if (const Value* schedule = section.find("lr_scheduler")) {
    read_schedule(*schedule, training.schedule, section.problems());
  }
  if (const Value* stopping = section.find("early_stopping")) {
    read_early_stopping(*stopping, training.early_stopping, section.problems());
  }
}

void report_keys_in_both(Section& section, Section& older) {
  for (const std::string_view key : kTrainerKeys) {
    if (!section.has(key) || !older.has(key)) continue;
    const Value* value = older.find(key);
    section.problems().invalid(value->line, value->path,
                               "is also written as " + section.path_of(key) + "; keep that one");
  }
}

enum class Method { kSupervised };
constexpr Choice<Method> kMethods[] = {{"supervised", Method::kSupervised}};

}  // namespace

std::string_view to_string(ScheduleType type) { return name_of(kSchedules, type); }
std::string_view to_string(Monitor monitor) { return name_of(kMonitors, monitor); }

void read_training(Section* section, Section* older, Strategy& strategy) {
  if (section != nullptr && older != nullptr) report_keys_in_both(*section, *older);
  if (older != nullptr) {
    read_trainer_keys(*older, strategy.training);
    older->refuse_unknown_keys();
  }
  if (section == nullptr) return;
  read_trainer_keys(*section, strategy.training);
  Method method = Method::kSupervised;
  section->choice("method", method, Choices<Method>{kMethods});
  if (const Value* labels = section->find("labels")) {
    Section inner(*labels, section->problems());
    read_labels(inner, strategy.labels);
  }
  if (const Value* split = section->find("data_split")) {
    Section inner(*split, section->problems());
    read_split(inner, strategy.split);
  }
  if (const Value* range = section->find("date_range"))
    read_date_range(*range, strategy, section->problems());
  section->refuse_unknown_keys();
}

}  // namespace ktrdr::strategy
