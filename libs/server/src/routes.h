// The table of the control plane's routes, a file a topic: from it come the router and the OpenAPI document.
// A handler is a function from typed arguments to a Result (endpoints/call.h); the services have never heard
// of HTTP.
#pragma once

#include <filesystem>

#include "ktrdr/endpoints/endpoint.h"
#include "ktrdr/metrics/registry.h"
#include "ktrdr/services/checkpoint_service.h"
#include "ktrdr/services/dispatcher.h"
#include "ktrdr/services/event_feed.h"
#include "ktrdr/services/operations_service.h"
#include "ktrdr/services/task_queue.h"
#include "ktrdr/services/trainings_service.h"
#include "ktrdr/services/worker_registry.h"

namespace ktrdr::server {

inline constexpr const char* kVersion = "0.1.0";

// What the handlers use; all of it outlives the HTTP server.
struct RouteContext {
  Clock& clock;
  services::OperationsService& operations;
  services::TrainingsService& trainings;
  services::CheckpointService& checkpoints;
  services::EventFeed& events;
  services::TaskQueue& starts;
  services::WorkerRegistry& workers;
  metrics::Registry& metrics;
  std::function<void()> wake_dispatcher;
  std::int64_t checkpoint_max_age_days = 30;  // of a clean-up that names none
  std::string checkpoints_place;              // a folder or s3://bucket/prefix
  Duration heartbeat_interval;
  std::function<api::OrphanDetectorInfo()> orphan_detector;
  std::function<std::vector<std::string>()> problems = [] { return std::vector<std::string>(); };
  bool may_name_data_dir = true;  // only a client that holds the token may
};

using endpoints::EndpointTable;

// Everything, with its documentation; the handlers keep a reference to the context.
EndpointTable endpoint_table(RouteContext& context);

EndpointTable training_endpoints(RouteContext& context);
EndpointTable operation_endpoints(RouteContext& context);
EndpointTable event_endpoints(RouteContext& context);
EndpointTable checkpoint_endpoints(RouteContext& context);
EndpointTable worker_endpoints(RouteContext& context);   // who they are
EndpointTable attempt_endpoints(RouteContext& context);  // what they read and write of an operation

}  // namespace ktrdr::server
