// How soon somebody notices, and how many workers one server holds. `bench_supervision NAME` runs one part.
#include <string_view>

#include "benches.h"
#include "ktrdr/core/log.h"

namespace ktrdr::bench {
namespace {

struct Part {
  std::string_view name;
  void (*run)(Figures&);
};

constexpr Part kParts[] = {
    {"killed", worker_killed}, {"restarted", server_restarted}, {"heartbeats", ten_thousand_workers}};

int run(std::string_view wanted) {
  Figures figures;
  for (const Part& part : kParts) {
    if (!wanted.empty() && wanted != part.name) continue;
    const auto begin = Stopwatch::now();
    part.run(figures);
    std::fprintf(stderr, "  %s: %.1f s\n", std::string(part.name).c_str(), seconds_since(begin));
  }
  return figures.is_broken() ? 1 : 0;
}

}  // namespace
}  // namespace ktrdr::bench

int main(int count, char** arguments) {
  ktrdr::start_logging("bench", ktrdr::LogLevel::kWarning);
  return ktrdr::bench::run(count > 1 ? arguments[1] : "");
}
