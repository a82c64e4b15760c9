#include "routes.h"

#include "ktrdr/api/operation.h"
#include "ktrdr/endpoints/call.h"

namespace ktrdr::server {
namespace {

constexpr const char* kVersion = "0.1.0";

Result<api::HealthResponse> health(RouteContext& context) {
  return api::HealthResponse{.version = kVersion,
                             .workers_connected = context.workers.connected_count(),
                             .orphan_detector = context.orphan_detector()};
}

EndpointTable health_endpoints(RouteContext& c) {
  return {{.method = http::Method::kGet,
           .path = "/api/v1/health",
           .name = "get_health",
           .summary = "Whether the server answers, and how many workers it has.",
           .access = http::Access::kPublic,
           .call = endpoints::call([&c] { return health(c); })}};
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
  endpoints::add_documentation(table,
                               {.name = "ktrdr control plane",
                                .version = kVersion,
                                .description = "Trainings that survive everything: start, cancel, resume."});
  return table;
}

}  // namespace ktrdr::server
