// Every figure that we claim of checkpoints, measured here and now. `bench_checkpoints NAME` runs one part.
#include <optional>
#include <string_view>

#include "ktrdr/core/log.h"
#include "ktrdr/engine_torch/torch_environment.h"
#include "large_training.h"
#include "parts.h"

namespace ktrdr::bench {
namespace {

struct Shared {
  std::optional<LargeTraining> large;
  LargeTraining& training() { return large ? *large : large.emplace(); }
};

struct Part {
  std::string_view name;
  void (*run)(Figures&, Shared&);
};

constexpr Part kParts[] = {
    {"save", [](Figures& figures, Shared& shared) { save_large_states(figures, shared.training()); }},
    {"restore", [](Figures& figures, Shared& shared) { restore_large_states(figures, shared.training()); }},
    {"overhead", [](Figures& figures, Shared&) { train_with_a_checkpoint_every_epoch(figures); }}};

int run(std::string_view wanted) {
  Figures figures;
  Shared shared;
  for (const Part& part : kParts) {
    if (!wanted.empty() && wanted != part.name) continue;
    const auto begin = Stopwatch::now();
    part.run(figures, shared);
    std::fprintf(stderr, "  %s: %.1f s\n", std::string(part.name).c_str(), seconds_since(begin));
  }
  return figures.is_broken() ? 1 : 0;
}

}  // namespace
}  // namespace ktrdr::bench

int main(int count, char** arguments) {
  ktrdr::start_logging("bench", ktrdr::LogLevel::kWarning);
  if (!ktrdr::engine_torch::reexecute_with_pinned_environment(arguments).ok()) return 1;
  return ktrdr::bench::run(count > 1 ? arguments[1] : "");
}
