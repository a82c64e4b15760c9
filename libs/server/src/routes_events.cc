// What happened to an operation: its history, a page at a time.
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

}  // namespace
}  // namespace ktrdr::server

namespace ktrdr::endpoints {

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
           })}};
}

}  // namespace ktrdr::server
