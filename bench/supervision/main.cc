// How soon somebody notices, and how many workers one server holds. `bench_supervision NAME` runs one part.
#include <string_view>

#include "../parts.h"
#include "benches.h"
#include "ktrdr/core/log.h"

namespace ktrdr::bench {
namespace {

constexpr Part<> kParts[] = {
    {"killed", worker_killed}, {"restarted", server_restarted}, {"heartbeats", ten_thousand_workers}};

}  // namespace
}  // namespace ktrdr::bench

int main(int count, char** arguments) {
  ktrdr::start_logging("bench", ktrdr::LogLevel::kWarning);
  return ktrdr::bench::run_parts(ktrdr::bench::kParts, count > 1 ? arguments[1] : "");
}
