#include "ktrdr/endpoints/request_metrics.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace ktrdr::endpoints {
namespace {

// Fewer than others have: there are as many histograms as routes. 0.3 s is what a person takes for at once.
const metrics::Bounds kSeconds = {0.001, 0.005, 0.025, 0.1, 0.3, 1, 10};
constexpr int kLowestClass = 2, kHighestClass = 5;  // of statuses: "2xx" to "5xx"

struct RouteMetrics {
  std::vector<metrics::Counter> by_class;
  metrics::Histogram seconds;
};

RouteMetrics metrics_of(metrics::Registry& registry, const metrics::Labels& route) {
  std::vector<metrics::Counter> by_class;
  for (int first = kLowestClass; first <= kHighestClass; ++first) {
    metrics::Labels labels = route;
    labels["status"] = std::to_string(first) + "xx";
    by_class.push_back(
        registry.counter({"ktrdr_http_requests_total", "Requests by route and class of status."}, labels));
  }
  return {std::move(by_class),
          registry.histogram({"ktrdr_http_request_duration_seconds",
                              "From the first byte of a request until its answer was there."},
                             kSeconds, route)};
}

void count(RouteMetrics& route, const http::Answered& answered) {
  const int status_class = std::clamp(answered.status / 100, kLowestClass, kHighestClass);
  route.by_class[static_cast<std::size_t>(status_class - kLowestClass)].add();
  route.seconds.observe(std::chrono::duration<double>(answered.took).count());
}

}  // namespace

http::Observer count_requests(metrics::Registry& registry, const EndpointTable& table) {
  std::vector<RouteMetrics> routes;  // by Route::number
  for (const Endpoint& endpoint : table) {
    routes.push_back(metrics_of(
        registry, {{"route", endpoint.path}, {"method", std::string(to_string(endpoint.method))}}));
  }
  return [routes = std::move(routes), none = metrics_of(registry, {{"route", "none"}, {"method", "none"}})](
             const http::Answered& answered) mutable {
    count(answered.route == nullptr ? none : routes.at(answered.route->number), answered);
  };
}

}  // namespace ktrdr::endpoints
