// The JSON keys of every type in event.h, in the order they are written.
#pragma once

#include "codec.h"
#include "enums.h"
#include "ktrdr/api/event.h"

namespace ktrdr::api::internal {

template <>
struct Fields<OperationEvent> {
  static constexpr auto kTable = std::tuple{
      required("sequence", &OperationEvent::sequence, "From 1; skips where old checkpoints were dropped."),
      required("at", &OperationEvent::at),
      required("kind", &OperationEvent::kind),
      required("status", &OperationEvent::status, "What the change led to; so are attempt and version."),
      required("attempt", &OperationEvent::attempt),
      required("version", &OperationEvent::version),
      field("worker_id", &OperationEvent::worker_id, "Whose attempt it was."),
      field("worker_name", &OperationEvent::worker_name),
      field("checkpoint", &OperationEvent::checkpoint, "Committed, gone back to, or gone on from."),
      field("message", &OperationEvent::message, "Why, for people; may be empty.")};
};

template <>
struct Fields<EventsData> {
  static constexpr auto kTable = std::tuple{
      required("operation_id", &EventsData::operation_id), required("events", &EventsData::events),
      required("last_sequence", &EventsData::last_sequence, "Of the newest event there is; 0: none.")};
};

template <>
struct Fields<EventsEnd> {
  static constexpr auto kTable =
      std::tuple{required("operation_id", &EventsEnd::operation_id), required("status", &EventsEnd::status)};
};

template <>
struct Fields<EventsResponse> {
  static constexpr auto kTable =
      std::tuple{field("success", &EventsResponse::success), field("data", &EventsResponse::data)};
};

}  // namespace ktrdr::api::internal
