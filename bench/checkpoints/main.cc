// Every figure that we claim of checkpoints, measured here and now. `bench_checkpoints NAME` runs one part.
#include <optional>
#include <string_view>

#include "../parts.h"
#include "benches.h"
#include "ktrdr/core/log.h"
#include "ktrdr/engine_torch/torch_environment.h"
#include "large_training.h"

namespace ktrdr::bench {
namespace {

struct Shared {
  std::optional<LargeTraining> large;
  LargeTraining& training() { return large ? *large : large.emplace(); }
};

constexpr Part<Shared> kParts[] = {
    {"save", [](Figures& figures, Shared& shared) { save_large_states(figures, shared.training()); }},
    {"restore", [](Figures& figures, Shared& shared) { restore_large_states(figures, shared.training()); }},
    {"overhead", [](Figures& figures, Shared&) { train_with_a_checkpoint_every_epoch(figures); }}};

int run(std::string_view wanted) {
  Shared shared;
  return run_parts(kParts, wanted, shared);
}

}  // namespace
}  // namespace ktrdr::bench

int main(int count, char** arguments) {
  ktrdr::start_logging("bench", ktrdr::LogLevel::kWarning);
  if (!ktrdr::engine_torch::reexecute_with_pinned_environment(arguments).ok()) return 1;
  return ktrdr::bench::run(count > 1 ? arguments[1] : "");
}
