// What a server answered, by the rows of its table: ktrdr_http_requests_total and
// ktrdr_http_request_duration_seconds.
#pragma once

#include "ktrdr/endpoints/endpoint.h"
#include "ktrdr/http/server.h"
#include "ktrdr/metrics/registry.h"

namespace ktrdr::endpoints {

// For ServerOptions::observer of the server that make_router(table) is given to. All series are there from
// now on, so that an answer costs three additions and no look-up by name. What was refused before it had a
// route, or for its token, has the route and the method "none": nobody can make up labels. The registry
// outlives the server.
http::Observer count_requests(metrics::Registry& registry, const EndpointTable& table);

}  // namespace ktrdr::endpoints
