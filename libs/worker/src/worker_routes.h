// The worker's own routes: how the server, and nobody else, talks to it.
#pragma once

#include "ktrdr/http/router.h"
#include "ktrdr/worker/training_worker.h"

namespace ktrdr::worker {

http::Router make_worker_router(TrainingWorker& worker);

}  // namespace ktrdr::worker
