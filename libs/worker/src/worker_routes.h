// The worker's own routes: how the server, and nobody else, talks to it.
#pragma once

#include "ktrdr/endpoints/endpoint.h"
#include "ktrdr/worker/training_worker.h"

namespace ktrdr::worker {

// With its documentation; the handlers keep a reference to the worker.
endpoints::EndpointTable endpoint_table(TrainingWorker& worker);

}  // namespace ktrdr::worker
