// State dicts as PyTorch lays them out, from the tensors of a checkpoint: the way to Python for models and
// for Adam's state. The values borrow the memory of the safetensors files they are made from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ktrdr/checkpoints/pytorch_file.h"
#include "ktrdr/checkpoints/safetensors.h"

namespace ktrdr::checkpoints {

// The order of module.state_dict(), which a safetensors file (sorted by name) does not tell: by the path of
// the module, numbers as numbers ("3" before "12"), and within one module weight, bias, then the rest by
// name. It holds for nn.Sequential and for modules whose children are registered in that order.
std::vector<std::string> state_dict_order(const SafetensorsFile& model);

// For `module.load_state_dict(torch.load(file, weights_only=True))`.
PythonValue model_state_dict(const SafetensorsFile& model);

// What torch.optim.Adam was constructed with; a checkpoint's optimizer.safetensors holds its tensors only.
struct AdamSettings {
  double learning_rate = 0;  // of the next step
  double beta1 = 0, beta2 = 0, epsilon = 0, weight_decay = 0;
};

// For `torch.optim.Adam(module.parameters()).load_state_dict(torch.load(file))`. The state of parameter i, in
// the order of module.parameters(), is made from the tensors "<name>.exp_avg", "<name>.exp_avg_sq" and the
// scalar "step"; before the first step it is empty, as in Python. kUnsupported when the optimizer's tensors
// are not those of Adam for this model. Python counts steps in float32, so a step beyond 2^24 is rounded.
class AdamStateDict {
 public:
  static Result<AdamStateDict> of(const SafetensorsFile& model, const SafetensorsFile& optimizer,
                                  const AdamSettings& settings);
  const PythonValue& value() const { return value_; }

 private:
  AdamStateDict() = default;

  std::vector<float> step_;  // one value, on the heap: `value_` borrows it, also after a move
  PythonValue value_;
};

}  // namespace ktrdr::checkpoints
