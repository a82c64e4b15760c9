#include "ktrdr/metrics/process_metrics.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <utility>

namespace ktrdr::metrics {
namespace {

namespace fs = std::filesystem;

double processor_seconds() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

double resident_bytes() {
  std::ifstream pages("/proc/self/statm");
  double size = 0, resident = 0;
  pages >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double open_files() {
  std::error_code ignored;
  return static_cast<double>(
      std::distance(fs::directory_iterator("/proc/self/fd", ignored), fs::directory_iterator()));
}

double most_files() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  return static_cast<double>(files.rlim_cur);
}

}  // namespace

void add_process_metrics(Registry& registry, const Clock& clock, const Program& program) {
  registry
      .gauge({"ktrdr_build_info", "1; its labels say which program this is."},
             {{"program", program.name}, {"version", program.version}})
      .set(1);
  registry.gauge({"process_start_time_seconds", "When the process started, in Unix time."})
      .set(static_cast<double>(clock.wall_ms()) / 1000);
  registry.gauge({"process_max_fds", "How many files the process may have open."}).set(most_files());
  Counter processor =
      registry.counter({"process_cpu_seconds_total", "Processor time of all threads of the process."});
  Gauge resident = registry.gauge({"process_resident_memory_bytes", "Memory that the process holds."});
  Gauge files = registry.gauge({"process_open_fds", "Files and sockets that the process has open."});
  registry.before_each_scrape([=]() mutable {
    processor.add(processor_seconds() - processor.value());
    resident.set(resident_bytes());
    files.set(open_files());
  });
}

void add_free_disk_space(Registry& registry, const std::string& place,
                         std::function<std::optional<std::uint64_t>()> free_bytes) {
  Gauge gauge = registry.gauge(
      {"ktrdr_disk_free_bytes", "What can still be written where this is kept; NaN: not known."},
      {{"place", place}});
  registry.before_each_scrape([gauge, free_bytes = std::move(free_bytes)]() mutable {
    const auto bytes = free_bytes();
    gauge.set(bytes ? static_cast<double>(*bytes) : std::numeric_limits<double>::quiet_NaN());
  });
}

std::optional<std::uint64_t> free_bytes_of(const fs::path& folder) {
  std::error_code failed;
  const fs::space_info space = fs::space(folder, failed);
  return failed ? std::nullopt : std::optional<std::uint64_t>(space.available);
}

}  // namespace ktrdr::metrics
