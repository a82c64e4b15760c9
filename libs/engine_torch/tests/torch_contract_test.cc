// libtorch under the contract that every engine keeps.
#include "ktrdr/engine_torch/torch_engine.h"
#include "ktrdr/training/testing/engine_contract.h"

namespace ktrdr::training::testing {

INSTANTIATE_TEST_SUITE_P(Torch, EngineContract,
                         ::testing::Values(EngineMaker{"torch", engine_torch::make_torch_engine_factory}));

}  // namespace ktrdr::training::testing
