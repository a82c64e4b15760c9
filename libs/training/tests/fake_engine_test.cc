#include "ktrdr/training/testing/fake_engine.h"

#include "ktrdr/training/testing/engine_contract.h"

namespace ktrdr::training::testing {

INSTANTIATE_TEST_SUITE_P(Fake, EngineContract,
                         ::testing::Values(EngineMaker{"fake", [] {
                                                         return std::unique_ptr<EngineFactory>(
                                                             std::make_unique<FakeEngineFactory>());
                                                       }}));

}  // namespace ktrdr::training::testing
