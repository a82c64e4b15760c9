#include "ktrdr/checkpoints/pytorch_state.h"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace ktrdr::checkpoints {
namespace {

constexpr std::string_view kStep = "step";
constexpr std::string_view kMoments[] = {"exp_avg", "exp_avg_sq"};

// One part of a dotted name, so that comparing compares as PyTorch orders them. Numbers of modules have no
// leading zeros, so the longer is the larger.
struct NamePart {
  int rank = 0;  // numbers, then weight, bias, then words
  std::size_t digits = 0;
  std::string text;
  auto operator<=>(const NamePart&) const = default;
};

NamePart part_of(std::string text) {
  const bool is_number =
      !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (is_number) return {0, text.size(), std::move(text)};
  const int rank = text == "weight" ? 1 : text == "bias" ? 2 : 3;
  return {rank, 0, std::move(text)};
}

std::vector<NamePart> parts_of(const std::string& name) {
  std::vector<NamePart> parts;
  std::size_t begin = 0;
  for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', begin)) {
    parts.push_back(part_of(name.substr(begin, dot - begin)));
    begin = dot + 1;
  }
  parts.push_back(part_of(name.substr(begin)));
  return parts;
}

PythonValue text(std::string_view value) { return {std::string(value)}; }
PythonValue whole(std::size_t value) { return {static_cast<std::int64_t>(value)}; }

Error not_adam(const std::string& what) {
  return {ErrorCode::kUnsupported, "The optimizer's state is not Adam's for this model: " + what +
                                       "; export the checkpoint with --format safetensors instead."};
}

Result<float> step_of(const SafetensorsFile& optimizer) {
  const TensorView* step = optimizer.find(kStep);
  if (step == nullptr || step->dtype != DType::kI64 || step->bytes.size() != sizeof(std::int64_t))
    return not_adam("it has no count of steps");
  std::int64_t count = 0;
  std::memcpy(&count, step->bytes.data(), sizeof(count));
  return static_cast<float>(count);
}

// The parameters in their order: the tensors of the model that have moments. Buffers have none.
std::vector<const TensorView*> parameters_of(const SafetensorsFile& model, const SafetensorsFile& optimizer) {
  std::vector<const TensorView*> parameters;
  for (const std::string& name : state_dict_order(model)) {
    if (optimizer.find(name + "." + std::string(kMoments[0])) != nullptr)
      parameters.push_back(model.find(name));
  }
  return parameters;
}

using Items = decltype(PythonDict::items);

Result<void> add_moments(const TensorView& parameter, const SafetensorsFile& optimizer, Items& state) {
  for (const std::string_view moment : kMoments) {
    const std::string name = parameter.name + "." + std::string(moment);
    const TensorView* tensor = optimizer.find(name);
    if (tensor == nullptr) return not_adam("'" + name + "' is missing");
    if (tensor->dtype != parameter.dtype || tensor->shape != parameter.shape)
      return not_adam("'" + name + "' has another dtype or shape than its parameter");
    state.push_back({text(moment), PythonValue{*tensor}});
  }
  return {};
}

// The keys of torch 1.13's Adam. Those that later releases added are set to their defaults on loading.
PythonValue parameter_group(const AdamSettings& settings, std::size_t parameters) {
  PythonList indices;
  for (std::size_t i = 0; i < parameters; ++i) indices.items.push_back(whole(i));
  PythonDict group;
  group.items = {{text("lr"), {settings.learning_rate}},
                 {text("betas"), {PythonTuple{{{settings.beta1}, {settings.beta2}}}}},
                 {text("eps"), {settings.epsilon}},
                 {text("weight_decay"), {settings.weight_decay}},
                 {text("amsgrad"), {false}},
                 {text("maximize"), {false}},
                 {text("foreach"), {PythonNone{}}},
                 {text("capturable"), {false}},
                 {text("differentiable"), {false}},
                 {text("fused"), {false}},
                 {text("params"), {std::move(indices)}}};
  return {std::move(group)};
}

}  // namespace

std::vector<std::string> state_dict_order(const SafetensorsFile& model) {
  std::vector<std::pair<std::vector<NamePart>, std::string>> keyed;
  for (const TensorView& tensor : model.tensors) keyed.emplace_back(parts_of(tensor.name), tensor.name);
  std::sort(keyed.begin(), keyed.end());
  std::vector<std::string> names;
  for (auto& [key, name] : keyed) names.push_back(std::move(name));
  return names;
}

PythonValue model_state_dict(const SafetensorsFile& model) {
  PythonDict dict{PythonDict::Kind::kOrderedDict, {}};
  for (const std::string& name : state_dict_order(model))
    dict.items.push_back({text(name), PythonValue{*model.find(name)}});
  return {std::move(dict)};
}

Result<AdamStateDict> AdamStateDict::of(const SafetensorsFile& model, const SafetensorsFile& optimizer,
                                        const AdamSettings& settings) {
  AdamStateDict made;
  TRY_ASSIGN(const float step, step_of(optimizer));
  made.step_ = {step};
  const TensorView step_tensor{std::string(kStep), DType::kF32, {}, std::as_bytes(std::span(made.step_))};
  const std::vector<const TensorView*> parameters = parameters_of(model, optimizer);
  if (optimizer.tensors.size() != 1 + std::size(kMoments) * parameters.size())
    return not_adam("it holds a tensor that belongs to no parameter");
  PythonDict state;
  for (std::size_t i = 0; step > 0 && i < parameters.size(); ++i) {
    PythonDict entry{PythonDict::Kind::kDict, {{text(kStep), {step_tensor}}}};
    TRY(add_moments(*parameters[i], optimizer, entry.items));
    state.items.push_back({whole(i), PythonValue{std::move(entry)}});
  }
  PythonDict dict;
  dict.items = {{text("state"), {std::move(state)}},
                {text("param_groups"), {PythonList{{parameter_group(settings, parameters.size())}}}}};
  made.value_ = {std::move(dict)};
  return made;
}

}  // namespace ktrdr::checkpoints
