// model: the network; decisions: what it says.
#include "strategy_sections.h"

namespace ktrdr::strategy {
namespace {

constexpr IntegerRange kWidth{1, 4096};
constexpr std::size_t kMostLayers = 16;
constexpr NumberRange kDropout{.minimum = 0, .maximum = 1, .without_maximum = true};

enum class ModelType { kMlp };
constexpr Choice<ModelType> kModelTypes[] = {{"mlp", ModelType::kMlp}};
constexpr std::string_view kModelTypesNotBuilt[] = {"lstm", "gru"};

constexpr Choice<Activation> kActivations[] = {{"relu", Activation::kRelu},
                                               {"tanh", Activation::kTanh},
                                               {"sigmoid", Activation::kSigmoid},
                                               {"leaky_relu", Activation::kLeakyRelu}};

constexpr Choice<OutputFormat> kOutputFormats[] = {{"classification", OutputFormat::kClassification}};
constexpr std::string_view kOutputFormatsNotBuilt[] = {"regression"};

void read_hidden_layers(const Value& value, Model& model, Problems& problems) {
  const auto items = read_list(value, "whole numbers", problems);
  if (!items) return;
  if (items->empty() || items->size() > kMostLayers) {
    problems.invalid(value.line, value.path, "must have 1 to 16 layers, like [32, 16]");
    return;
  }
  for (const Value& item : *items) {
    if (const auto width = read_integer(item, kWidth, problems)) model.hidden_layers.push_back(*width);
  }
}

void read_architecture(Section& section, Model& model) {
  if (const Value* layers = section.require("hidden_layers", "hidden_layers: [32, 16]")) {
    read_hidden_layers(*layers, model, section.problems());
  }
  section.number("dropout", model.dropout, kDropout);
  section.choice("activation", model.activation, Choices<Activation>{kActivations});
  section.accept({"output_activation"});  // the loss works on raw logits
  section.refuse_unknown_keys();
}

// Some files write the architecture's keys one level too high, where the Python system does not look either.
void report_misplaced_keys(Section& section) {
  for (const std::string_view key : {"hidden_layers", "dropout", "activation"}) {
    if (const Value* value = section.find(key)) {
      section.problems().invalid(value->line, value->path, "belongs one level deeper, in model.architecture");
    }
  }
}

}  // namespace

std::string_view to_string(Activation activation) {
  for (const Choice<Activation>& choice : kActivations) {
    if (choice.value == activation) return choice.name;
  }
  return "";
}

void read_model(Section& section, Model& model) {
  ModelType type = ModelType::kMlp;
  const Value* written_type = section.find("type");
  const bool is_mlp = written_type == nullptr ||
                      read_choice(*written_type, Choices<ModelType>{kModelTypes, kModelTypesNotBuilt},
                                  section.problems()) == type;
  section.accept({"features", "training", "architecture"});
  if (is_mlp) {
    report_misplaced_keys(section);
    if (const Value* architecture =
            section.require("architecture", "architecture: {hidden_layers: [32, 16]}")) {
      Section inner(*architecture, section.problems());
      read_architecture(inner, model);
    }
  }
  section.refuse_unknown_keys();
}

void read_decisions(Section& section, Decisions& decisions) {
  section.choice("output_format", decisions.output_format,
                 Choices<OutputFormat>{kOutputFormats, kOutputFormatsNotBuilt});
  section.accept(
      {"cost_model", "confidence_threshold", "position_awareness", "filters"});  // used by backtests
  section.refuse_unknown_keys();
}

}  // namespace ktrdr::strategy
