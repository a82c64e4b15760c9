#include "ktrdr/endpoints/metrics_endpoint.h"

namespace ktrdr::endpoints {

http::Response Answer<Scrape>::write(const Scrape& scrape) {
  return {.body = scrape.text, .content_type = metrics::kTextFormat};
}
api::AnswerDescription Answer<Scrape>::describe(int status) {
  return {
      .status = status, .description = "Prometheus' text exposition format.", .content_type = "text/plain"};
}

Endpoint metrics_endpoint(metrics::Registry& registry) {
  return {.method = http::Method::kGet,
          .path = "/metrics",
          .name = "get_metrics",
          .summary = "What this process counts, for Prometheus.",
          .call = call([&registry]() -> Result<Scrape> { return Scrape{registry.text()}; })};
}

}  // namespace ktrdr::endpoints
