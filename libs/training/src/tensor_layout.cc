#include "ktrdr/training/tensor_layout.h"

#include <algorithm>
#include <string>

namespace ktrdr::training {
namespace {

std::string describe(const checkpoints::TensorView& tensor) {
  std::string text(checkpoints::to_string(tensor.dtype));
  text += " [";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(tensor.shape[i]);
  }
  return text + "]";
}

Error corrupted(const std::string& text) { return {ErrorCode::kCheckpointCorrupted, text}; }

}  // namespace

Result<void> check_same_layout(std::span<const checkpoints::TensorView> expected,
                               std::span<const checkpoints::TensorView> given) {
  for (const checkpoints::TensorView& tensor : expected) {
    const checkpoints::TensorView* found = find_tensor(given, tensor.name);
    if (found == nullptr) return corrupted("The tensor '" + tensor.name + "' is missing.");
    if (found->dtype != tensor.dtype || found->shape != tensor.shape) {
      return corrupted("The tensor '" + tensor.name + "' is " + describe(*found) + ", but this model needs " +
                       describe(tensor) + ".");
    }
  }
  for (const checkpoints::TensorView& tensor : given) {
    const auto is_it = [&](const checkpoints::TensorView& t) { return t.name == tensor.name; };
    if (std::none_of(expected.begin(), expected.end(), is_it))
      return corrupted("This model has no tensor '" + tensor.name + "'.");
  }
  return {};
}

}  // namespace ktrdr::training
