// The worker's own routes: how the server, and nobody else, talks to it.
#pragma once

#include "ktrdr/endpoints/endpoint.h"
#include "ktrdr/metrics/registry.h"
#include "ktrdr/worker/training_worker.h"

namespace ktrdr::worker {

inline constexpr const char* kVersion = "0.1.0";

// With its documentation; the handlers keep references to both.
endpoints::EndpointTable endpoint_table(TrainingWorker& worker, metrics::Registry& registry);

}  // namespace ktrdr::worker
