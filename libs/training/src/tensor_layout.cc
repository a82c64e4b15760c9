#include "ktrdr/training/tensor_layout.h"

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

Result<void> check_same_layout(const checkpoints::TensorMap& expected, const checkpoints::TensorMap& given) {
  for (const checkpoints::TensorView& tensor : expected.views()) {
    const auto found = given.find(tensor.name);
    if (!found) return corrupted("The tensor '" + tensor.name + "' is missing.");
    if (found->dtype != tensor.dtype || found->shape != tensor.shape) {
      return corrupted("The tensor '" + tensor.name + "' is " + describe(*found) + ", but this model needs " +
                       describe(tensor) + ".");
    }
  }
  for (const checkpoints::TensorView& tensor : given.views()) {
    if (!expected.contains(tensor.name)) return corrupted("This model has no tensor '" + tensor.name + "'.");
  }
  return {};
}

}  // namespace ktrdr::training
