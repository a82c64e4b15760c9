// GET /metrics, the same at every process: what its registry counts, for Prometheus.
#pragma once

#include <string>

#include "ktrdr/endpoints/call.h"
#include "ktrdr/endpoints/endpoint.h"
#include "ktrdr/metrics/registry.h"

namespace ktrdr::endpoints {

// A scrape in the text exposition format.
struct Scrape {
  std::string text;
};

template <>
struct Answer<Scrape> {
  static http::Response write(const Scrape& scrape);
  static api::AnswerDescription describe(int status);
};

// Needs the token, like every route that tells of what goes on here. The registry outlives the table.
Endpoint metrics_endpoint(metrics::Registry& registry);

}  // namespace ktrdr::endpoints
