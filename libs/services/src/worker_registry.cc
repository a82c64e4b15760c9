#include "ktrdr/services/worker_registry.h"

#include <algorithm>

namespace ktrdr::services {
namespace {

constexpr int kSilentIntervals = 3;
constexpr Duration kForgetAfter = std::chrono::seconds(300);
constexpr std::string_view kAvailable = "available", kBusy = "busy", kUnavailable = "temporarily_unavailable";

// http://host:port and nothing else: the server calls a worker only at the address it registered from.
bool is_endpoint(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return false;
  url.remove_prefix(kScheme.size());
  return !url.empty() && url.size() < 256 && url.find_first_of("/@?# \t\r\n\\") == std::string_view::npos;
}

}  // namespace

WorkerRegistry::WorkerRegistry(Clock& clock, Duration sign_of_life_interval)
    : clock_(clock), interval_(sign_of_life_interval) {}

Result<api::WorkerInfo> WorkerRegistry::add(const api::WorkerRegistration& registration) {
  TRY_ASSIGN(const WorkerId id, WorkerId::parse(registration.worker_id));
  if (!is_endpoint(registration.endpoint_url)) {
    return Error(ErrorCode::kInvalidArgument, "'endpoint_url' must be http://HOST:PORT.");
  }
  auto entries = entries_.lock();
  std::erase_if(*entries, [&](const auto& other) {
    return other.second.info.endpoint_url == registration.endpoint_url && other.first != id.value;
  });
  Entry& entry = (*entries)[id.value];
  entry.info = {.worker_id = id.value,
                .worker_type = registration.worker_type,
                .name = registration.name.empty() ? id.value : registration.name,
                .endpoint_url = registration.endpoint_url,
                .current_operation_id = registration.current_operation_id,
                .capabilities = registration.capabilities,
                .last_healthy_at = iso8601_utc(clock_.wall_ms()),
                .heartbeat_interval_ms = interval_.count()};
  entry.last_sign_of_life = clock_.monotonic();
  entry.unreachable = false;
  return describe(entry);
}

api::WorkerInfo WorkerRegistry::describe(const Entry& entry) const {
  api::WorkerInfo info = entry.info;
  const bool silent = clock_.monotonic() - entry.last_sign_of_life > kSilentIntervals * interval_;
  info.status = silent || entry.unreachable ? kUnavailable : info.current_operation_id ? kBusy : kAvailable;
  return info;
}

void WorkerRegistry::forget_silent(Entries& entries) const {
  std::erase_if(entries, [&](const auto& entry) {
    return clock_.monotonic() - entry.second.last_sign_of_life > kForgetAfter;
  });
}

std::vector<api::WorkerInfo> WorkerRegistry::list() {
  auto entries = entries_.lock();
  forget_silent(*entries);
  std::vector<api::WorkerInfo> infos;
  for (const auto& [id, entry] : *entries) infos.push_back(describe(entry));
  std::sort(infos.begin(), infos.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return infos;
}

Result<api::WorkerInfo> WorkerRegistry::get(const WorkerId& id) {
  auto entries = entries_.lock();
  const auto found = entries->find(id.value);
  if (found == entries->end()) return Error(ErrorCode::kNotFound, "Worker " + id.value + " not found.");
  return describe(found->second);
}

std::int64_t WorkerRegistry::connected_count() {
  const auto infos = list();
  return std::count_if(infos.begin(), infos.end(),
                       [](const auto& info) { return info.status != kUnavailable; });
}

std::vector<api::WorkerInfo> WorkerRegistry::available() {
  auto entries = entries_.lock();
  std::vector<const Entry*> free;
  for (const auto& [id, entry] : *entries) {
    if (describe(entry).status == kAvailable) free.push_back(&entry);
  }
  std::stable_sort(free.begin(), free.end(), [](auto* a, auto* b) { return a->last_used < b->last_used; });
  std::vector<api::WorkerInfo> infos;
  for (const Entry* entry : free) infos.push_back(describe(*entry));
  return infos;
}

void WorkerRegistry::mark_busy(const std::string& worker_id, const std::string& operation_id) {
  auto entries = entries_.lock();
  const auto found = entries->find(worker_id);
  if (found == entries->end()) return;
  found->second.info.current_operation_id = operation_id;
  found->second.last_used = clock_.monotonic();
}

void WorkerRegistry::mark_unreachable(const std::string& worker_id) {
  auto entries = entries_.lock();
  const auto found = entries->find(worker_id);
  if (found != entries->end()) found->second.unreachable = true;
}

}  // namespace ktrdr::services
