// A real, small engine in plain C++: softmax regression with dropout on its inputs and Adam. It keeps every
// rule of engine.h (its masks depend on the step, its optimizer has state), so exactness is tested without a
// tensor library. It ignores the strategy's hidden layers.
#pragma once

#include <memory>

#include "ktrdr/training/engine.h"

namespace ktrdr::training::testing {

class FakeEngineFactory final : public EngineFactory {
 public:
  std::string_view name() const override { return "fake"; }
  Result<std::unique_ptr<Engine>> create(const strategy::Strategy& strategy, const strategy::Dataset& dataset,
                                         std::int64_t seed) override;
};

}  // namespace ktrdr::training::testing
