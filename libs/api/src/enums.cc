#include "enums.h"

namespace ktrdr::api {

std::string_view to_string(OperationStatus status) { return internal::name_of(status); }
std::optional<OperationStatus> parse_operation_status(std::string_view text) {
  return internal::named<OperationStatus>(text);
}
std::string_view to_string(Phase phase) { return internal::name_of(phase); }
std::optional<Phase> parse_phase(std::string_view text) { return internal::named<Phase>(text); }
std::string_view to_string(EventKind kind) { return internal::name_of(kind); }
std::optional<EventKind> parse_event_kind(std::string_view text) { return internal::named<EventKind>(text); }

bool is_finished(OperationStatus status) {
  return status == OperationStatus::kCompleted || is_resumable(status);
}
bool is_resumable(OperationStatus status) {
  return status == OperationStatus::kFailed || status == OperationStatus::kCancelled;
}

}  // namespace ktrdr::api
