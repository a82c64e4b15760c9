// A value as the pickle inside a .pt file.
#pragma once

#include <string>
#include <vector>

#include "ktrdr/checkpoints/pytorch_file.h"

namespace ktrdr::checkpoints {

struct PickledValue {
  std::string pickle;
  std::vector<TensorView> storages;  // storage i is the bytes of the i-th; views of the value's tensors
};

PickledValue pickle(const PythonValue& value);

}  // namespace ktrdr::checkpoints
