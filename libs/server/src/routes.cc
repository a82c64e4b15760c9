#include "routes.h"

#include "ktrdr/api/operation.h"
#include "ktrdr/endpoints/call.h"
#include "ktrdr/endpoints/metrics_endpoint.h"

namespace ktrdr::server {
namespace {

Result<api::HealthResponse> health(RouteContext& context) {
  api::HealthResponse health{.version = kVersion,
                             .workers_connected = context.workers.connected_count(),
                             .orphan_detector = context.orphan_detector()};
  if (auto problems = context.problems(); !problems.empty()) health.problems = std::move(problems);
  return health;
}

EndpointTable health_endpoints(RouteContext& c) {
  return {{.method = http::Method::kGet,
           .path = "/api/v1/health",
           .name = "get_health",
           .summary = "Whether the server answers, and how many workers it has.",
           .access = http::Access::kPublic,
           .call = endpoints::call([&c] { return health(c); })}};
}

// A request that may have changed an operation: whoever watches it is told at once, not at the next poll.
void announce(services::EventFeed& events, const http::Request& request) {
  const auto id = OperationId::parse(request.parameter("operation_id"));
  if (id.ok()) events.changed(*id);
}

http::Handler announcing(http::Handler handler, services::EventFeed& events) {
  if (auto* parked = std::get_if<http::ParkedHandler>(&handler)) {
    return http::ParkedHandler(
        [inner = std::move(*parked), &events](const http::Request& request, http::Responder responder) {
          inner(request, std::move(responder));
          announce(events, request);
        });
  }
  return http::SynchronousHandler([inner = std::get<http::SynchronousHandler>(std::move(handler)),
                                   &events](const http::Request& request) {
    http::Response response = inner(request);
    announce(events, request);
    return response;
  });
}

void announce_changes(EndpointTable& table, services::EventFeed& events) {
  for (endpoints::Endpoint& endpoint : table) {
    const bool may_change = endpoint.method != http::Method::kGet;
    const bool is_of_an_operation = endpoint.path.find("{operation_id}") != std::string::npos;
    if (!may_change || !is_of_an_operation) continue;
    endpoint.call.handler = announcing(std::move(endpoint.call.handler), events);
  }
}

}  // namespace

EndpointTable endpoint_table(RouteContext& context) {
  EndpointTable table = health_endpoints(context);
  table += training_endpoints(context);
  table += operation_endpoints(context);
  table += event_endpoints(context);
  table += checkpoint_endpoints(context);
  table += worker_endpoints(context);
  table += attempt_endpoints(context);
  table += {endpoints::metrics_endpoint(context.metrics)};
  announce_changes(table, context.events);
  endpoints::add_documentation(table,
                               {.name = "ktrdr control plane",
                                .version = kVersion,
                                .description = "Trainings that survive everything: start, cancel, resume."});
  return table;
}

}  // namespace ktrdr::server
