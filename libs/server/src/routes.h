// The table of the control plane's routes. A handler is four small things: what it reads, what it answers,
// the fields (in libs/api), and the call. JSON ends here; the services have never heard of HTTP.
#pragma once

#include <filesystem>

#include "ktrdr/http/router.h"
#include "ktrdr/services/checkpoint_service.h"
#include "ktrdr/services/dispatcher.h"
#include "ktrdr/services/operations_service.h"
#include "ktrdr/services/task_queue.h"
#include "ktrdr/services/trainings_service.h"
#include "ktrdr/services/worker_registry.h"

namespace ktrdr::server {

// What the handlers use; all of it outlives the HTTP server.
struct RouteContext {
  Clock& clock;
  services::OperationsService& operations;
  services::TrainingsService& trainings;
  services::CheckpointService& checkpoints;
  services::TaskQueue& starts;
  services::WorkerRegistry& workers;
  std::function<void()> wake_dispatcher;
  std::filesystem::path checkpoints_root;
  Duration heartbeat_interval;
  bool may_name_data_dir = true;  // only a client that holds the token may
};

http::Router make_router(RouteContext& context);

}  // namespace ktrdr::server
