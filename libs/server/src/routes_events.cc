// What happened to an operation: its history, a page at a time, or as it grows.
#include <charconv>

#include "ktrdr/api/event.h"
#include "ktrdr/endpoints/call.h"
#include "routes.h"

namespace ktrdr::server {
namespace {

using endpoints::call;
using http::Method;

constexpr std::int64_t kHighestSequence = 1'000'000'000;

struct EventsQuery {
  std::optional<std::int64_t> after;
  std::int64_t limit = 100;
};

Result<api::EventsResponse> list_events(RouteContext& context, const OperationId& id,
                                        const EventsQuery& query) {
  TRY_ASSIGN(storage::EventPage page,
             context.operations.events(id, {.after = query.after, .limit = query.limit}));
  return api::EventsResponse{.data = {.operation_id = id.value,
                                      .events = std::move(page.events),
                                      .last_sequence = page.last_sequence}};
}

// Server-sent events. The transport owns the stream: when its connection has gone, so has the stream.
class EventStreamSink final : public services::EventSink {
 public:
  EventStreamSink(OperationId id, const std::shared_ptr<http::BodyStream>& body)
      : id_(std::move(id)), body_(body) {}

  bool event(const api::OperationEvent& event) override {
    return send("id: " + std::to_string(event.sequence) + "\nevent: " + std::string(to_string(event.kind)) +
                "\ndata: " + api::to_json(event) + "\n\n");
  }
  bool keep_alive() override { return send(": nothing happened\n\n"); }
  bool is_open() const override {
    const auto body = body_.lock();
    return body && body->is_open();
  }
  void end(api::OperationStatus status) override {
    send("event: end\ndata: " + api::to_json(api::EventsEnd{.operation_id = id_.value, .status = status}) +
         "\n\n");
    if (const auto body = body_.lock()) body->end();
  }

 private:
  bool send(const std::string& text) {
    const auto body = body_.lock();
    return body && body->send(text);
  }

  const OperationId id_;
  const std::weak_ptr<http::BodyStream> body_;
};

// Last-Event-ID: what a browser sends when it connects again.
struct LastEventId {
  std::optional<std::int64_t> sequence;
};

struct StreamQuery {
  std::optional<std::int64_t> after;
};

Result<endpoints::EventStream> stream_events(RouteContext& context, const OperationId& id,
                                             const StreamQuery& query, const LastEventId& last_event) {
  const auto body = std::make_shared<http::BodyStream>();
  body->send("retry: 2000\n\n");  // milliseconds until a browser connects again
  const std::int64_t after = last_event.sequence.value_or(query.after.value_or(0));
  TRY(context.events.subscribe(id, after, std::make_shared<EventStreamSink>(id, body)));
  return endpoints::EventStream{body};
}

}  // namespace
}  // namespace ktrdr::server

namespace ktrdr::endpoints {

template <>
struct Argument<server::LastEventId> {
  static Result<server::LastEventId> read(const http::Request& request) {
    const auto text = request.header("Last-Event-ID");
    if (!text) return server::LastEventId{};
    std::int64_t sequence = 0;
    const auto [end, status] = std::from_chars(text->data(), text->data() + text->size(), sequence);
    const bool is_number = status == std::errc{} && end == text->data() + text->size();
    if (is_number && sequence >= 0) return server::LastEventId{sequence};
    return Error(ErrorCode::kInvalidArgument,
                 "The header Last-Event-ID must be the id of an event of this stream.");
  }
  static void describe(Call& call) {
    call.parameters.push_back({.place = "header",
                               .name = "Last-Event-ID",
                               .description = "The last event that was seen: it goes on after that one.",
                               .type = {.pattern = "^[0-9]+$"}});
  }
};

template <>
std::vector<QueryField<server::StreamQuery>> query_fields<server::StreamQuery>() {
  return {whole_number("after", &server::StreamQuery::after, {0, server::kHighestSequence},
                       "Go on after this sequence number; without it, from the beginning.")};
}

template <>
std::vector<QueryField<server::EventsQuery>> query_fields<server::EventsQuery>() {
  using server::EventsQuery;
  return {whole_number("after", &EventsQuery::after, {0, server::kHighestSequence},
                       "Only events that follow this sequence number; without it, the newest ones."),
          whole_number("limit", &EventsQuery::limit, {1, storage::kMostEvents},
                       "How many at most; the oldest comes first.")};
}

}  // namespace ktrdr::endpoints

namespace ktrdr::server {

EndpointTable event_endpoints(RouteContext& c) {
  return {{.method = Method::kGet,
           .path = "/api/v1/operations/{operation_id}/events",
           .name = "list_events",
           .summary = "What happened to an operation: created, claimed, checkpoint, cancelled, resumed, ...",
           .errors = {ErrorCode::kNotFound},
           .call = call([&c](const OperationId& id, const endpoints::Query<EventsQuery>& query) {
             return list_events(c, id, *query);
           })},
          {.method = Method::kGet,
           .path = "/api/v1/operations/{operation_id}/events/stream",
           .name = "stream_events",
           .summary = "The same as server-sent events, as they happen; ends when the operation is finished.",
           .errors = {ErrorCode::kNotFound, ErrorCode::kUnavailable},
           .call = call(
               [&c](const OperationId& id, const endpoints::Query<StreamQuery>& query,
                    const LastEventId& last_event) { return stream_events(c, id, *query, last_event); })}};
}

}  // namespace ktrdr::server
