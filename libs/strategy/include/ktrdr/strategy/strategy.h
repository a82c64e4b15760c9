// A strategy file (format v3) as plain data: which bars, which features, which model, how it is trained.
// The format is described in docs/strategy-format.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/core/result.h"
#include "ktrdr/strategy/fuzzy.h"
#include "ktrdr/strategy/indicators.h"

namespace ktrdr::strategy {

// "rsi_14" or "macd_1.signal", resolved.
struct OutputReference {
  std::string text;  // as written
  std::string indicator_id;
  std::size_t output = 0;  // index into IndicatorType::outputs

  bool operator==(const OutputReference&) const = default;
};

struct FuzzySet {
  std::string id;
  OutputReference indicator;
  std::vector<FuzzyMember> members;  // at least one, in file order

  bool operator==(const FuzzySet&) const = default;
};

enum class NormalizationMethod { kNone, kMinMax, kZScore };
std::string_view to_string(NormalizationMethod method);

// One entry of nn_inputs: a fuzzy set (one column per member) or a raw indicator (one column).
struct FeatureInput {
  std::optional<std::string> fuzzy_set;  // exactly one of the two is set
  std::optional<OutputReference> raw_indicator;
  std::vector<std::string> timeframes;                             // "all" is already resolved
  NormalizationMethod normalization = NormalizationMethod::kNone;  // raw only

  bool operator==(const FeatureInput&) const = default;
};

enum class Activation { kRelu, kTanh, kSigmoid, kLeakyRelu };  // leaky: slope 0.01
std::string_view to_string(Activation activation);

// A multilayer perceptron: per hidden width Linear, activation, Dropout; then Linear to the classes.
struct Model {
  std::vector<std::int64_t> hidden_layers;
  double dropout = 0.2;
  Activation activation = Activation::kRelu;

  bool operator==(const Model&) const = default;
};

enum class OutputFormat { kClassification };

struct Decisions {
  OutputFormat output_format = OutputFormat::kClassification;

  bool operator==(const Decisions&) const = default;
};

enum class LabelSource { kZigZag };

struct Labels {
  LabelSource source = LabelSource::kZigZag;
  double zigzag_threshold = 0.02;

  bool operator==(const Labels&) const = default;
};

// Shares of the usable rows, in time order. They sum to 1.
struct Split {
  double train = 0.7;
  double validation = 0.15;
  double test = 0.15;

  bool operator==(const Split&) const = default;
};

enum class OptimizerType { kAdam };

// Adam with L2 decay added to the gradient, as torch.optim.Adam.
struct Optimizer {
  OptimizerType type = OptimizerType::kAdam;
  double weight_decay = 1e-4;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;

  bool operator==(const Optimizer&) const = default;
};

enum class ScheduleType { kNone, kStep, kReduceOnPlateau };
std::string_view to_string(ScheduleType type);

// Stepped once per epoch, after validation; fields of another type keep their defaults.
struct LearningRateSchedule {
  ScheduleType type = ScheduleType::kNone;
  std::int64_t step_size = 30;  // step: epochs
  double gamma = 0.1;           // step
  double factor = 0.5;          // reduce_on_plateau, from here on
  std::int64_t patience = 5;    // epochs
  double threshold = 1e-4;      // relative improvement of the validation loss that counts
  double minimum_learning_rate = 0;

  bool operator==(const LearningRateSchedule&) const = default;
};

enum class Monitor { kValidationLoss, kValidationAccuracy };
std::string_view to_string(Monitor monitor);

struct EarlyStopping {
  std::int64_t patience = 10;  // epochs without improvement
  double minimum_delta = 0.001;
  Monitor monitor = Monitor::kValidationLoss;

  bool operator==(const EarlyStopping&) const = default;
};

enum class Loss { kCrossEntropy };  // weighted by class

struct Training {
  std::int64_t epochs = 100;
  std::int64_t batch_size = 32;  // rows
  double learning_rate = 1e-3;
  Optimizer optimizer;
  double gradient_clip = 1.0;  // largest total norm; <= 0 is off
  Loss loss = Loss::kCrossEntropy;
  LearningRateSchedule schedule;
  std::optional<EarlyStopping> early_stopping;

  bool operator==(const Training&) const = default;
};

struct Strategy {
  std::string name;  // safe in a file name: starts with a letter or digit, then those, _ and -
  std::string description;
  std::string version = "3.0";
  std::string symbol;
  std::string timeframe;
  std::optional<std::int64_t> start_ms;  // inclusive, UTC
  std::optional<std::int64_t> end_ms;    // inclusive, UTC; a date alone means its last millisecond
  std::vector<IndicatorDefinition> indicators;
  std::vector<FuzzySet> fuzzy_sets;
  std::vector<FeatureInput> inputs;
  Model model;
  Decisions decisions;
  Labels labels;
  Split split;
  Training training;

  const IndicatorDefinition* find_indicator(std::string_view id) const;
  const FuzzySet* find_fuzzy_set(std::string_view id) const;
  bool operator==(const Strategy&) const = default;
};

// Reads a whole strategy file. Strict: every key must be known, every value of its type and in its range,
// every reference resolvable. The error's message names all problems at once, one per line:
//
//   line 9: training.epoch: is not a key here; did you mean "epochs"?
//
// kInvalidArgument, or kUnsupported when all that is wrong is valid in a v3 strategy but not built here;
// kTooLarge above 1 MiB. Pure; safe from any thread.
Result<Strategy> parse_strategy(std::string_view yaml);

// The last moment that an end date means: "2024-01-31" is 2024-01-31T23:59:59.999Z; with a time it is that
// time.
Result<std::int64_t> parse_end_date_ms(std::string_view text);

}  // namespace ktrdr::strategy
