// What every process can say of itself: process_* under the names that all Prometheus clients use, and
// ktrdr_build_info.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "ktrdr/core/clock.h"
#include "ktrdr/metrics/registry.h"

namespace ktrdr::metrics {

struct Program {
  std::string name;  // "serve", "worker"
  std::string version;
};

void add_process_metrics(Registry& registry, const Clock& clock, const Program& program);

// ktrdr_disk_free_bytes{place="..."}: what an unprivileged process may still write there, asked at each
// scrape. NaN when it can't be told.
void add_free_disk_space(Registry& registry, const std::string& place,
                         std::function<std::optional<std::uint64_t>()> free_bytes);
std::optional<std::uint64_t> free_bytes_of(const std::filesystem::path& folder);

}  // namespace ktrdr::metrics
