#include "event_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "ktrdr/core/clock.h"
#include "wording.h"

namespace ktrdr::cli {
namespace {

std::string local_time(const std::string& at) {
  const auto wall_ms = parse_iso8601_ms(at);
  if (!wall_ms.ok()) return at;
  const std::time_t seconds = *wall_ms / 1000;
  std::tm parts{};
  char text[32];
  if (::localtime_r(&seconds, &parts) == nullptr) return at;
  return std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts) > 0 ? text : at;
}

// "lease lapsed", and with the checkpoint where it is the point of the event.
std::string what(const api::OperationEvent& event) {
  std::string words(to_string(event.kind));
  std::replace(words.begin(), words.end(), '_', ' ');
  if (!event.checkpoint) return words;
  const std::string checkpoint = event.checkpoint->to_string();
  switch (event.kind) {
    case api::EventKind::kCheckpoint: return words + " " + checkpoint;
    case api::EventKind::kRewound: return words + " to " + checkpoint;
    case api::EventKind::kRestarted:
    case api::EventKind::kResumed: return words + " from " + checkpoint;
    default: return words;
  }
}

std::string by_whom(const api::OperationEvent& event) {
  const std::string name = event.worker_name.value_or("");
  return name.empty() ? event.worker_id.value_or("-") : name;
}

}  // namespace

std::string events_text(const std::vector<api::OperationEvent>& events) {
  if (events.empty()) return "";
  std::vector<std::vector<std::string>> lines = {{"TIME", "EVENT", "ATTEMPT", "WORKER", "WHY"}};
  for (const api::OperationEvent& event : events) {
    lines.push_back({local_time(event.at), what(event), std::to_string(event.attempt), by_whom(event),
                     event.message.empty() ? "-" : event.message});
  }
  return table_text(lines);
}

}  // namespace ktrdr::cli
