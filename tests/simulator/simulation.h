// One simulation: everything follows from its seed.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "mutant.h"
#include "world.h"

namespace ktrdr::simulator {

struct Outcome {
  std::optional<std::string> violation;
  std::deque<std::string> trace;  // of the last steps, when it was asked for
  std::int64_t steps = 0;         // how often a fiber ran
  Duration simulated{0};
};

// Faults strike for a while and then stop; from then on everything has to come to its end. What happened is
// added to `tally`.
Outcome simulate(std::uint64_t seed, Tally& tally, Mutant mutant = Mutant::kNone, bool tracing = false);

}  // namespace ktrdr::simulator
