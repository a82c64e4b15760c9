#include "ktrdr/server/control_plane.h"

#include <signal.h>

#include <algorithm>

#include "http_worker_gateway.h"
#include "ktrdr/checkpoints/open_checkpoint_store.h"
#include "ktrdr/client/server_address.h"
#include "ktrdr/core/log.h"
#include "ktrdr/endpoints/request_metrics.h"
#include "ktrdr/http/server.h"
#include "ktrdr/metrics/process_metrics.h"
#include "ktrdr/server/data_folder.h"
#include "ktrdr/services/checkpoint_service.h"
#include "ktrdr/services/housekeeping.h"
#include "ktrdr/services/lease_watch.h"
#include "ktrdr/services/periodic_task.h"
#include "ktrdr/services/task_queue.h"
#include "ktrdr/storage/open_repository.h"
#include "local_workers.h"
#include "measured_repository.h"
#include "measured_worker_gateway.h"
#include "routes.h"
#include "state_metrics.h"

namespace ktrdr::server {
namespace {

namespace fs = std::filesystem;

constexpr Duration kLongestHeartbeat = std::chrono::seconds(2);
constexpr Duration kTendWorkers = std::chrono::milliseconds(200);
constexpr Duration kAnswerWaiters = std::chrono::milliseconds(250);
constexpr Duration kDispatch = std::chrono::seconds(1);
constexpr Duration kLookForHousekeeping = std::chrono::minutes(1);
constexpr Duration kRefreshMetrics = std::chrono::seconds(2);
constexpr Duration kDay = std::chrono::hours(24);
constexpr std::int64_t kMostDays = 36'500;
constexpr Duration kShortestLease = std::chrono::milliseconds(500);
constexpr int kMostLocalWorkers = 64;
constexpr int kMostRestarts = 1000;
constexpr std::size_t kDispatchThreads = 4;
constexpr std::size_t kMostWaitingDispatches = 1000;
constexpr std::size_t kMostConnections = 20'000;  // 10,000 workers, each with one or two
constexpr std::size_t kHandlerThreads = 16;       // most of them wait for the store
constexpr std::size_t kStartThreads = 2;
constexpr std::size_t kMostWaitingStarts = 100;
constexpr std::size_t kLargestBody = std::size_t{64}
                                     << 20;  // the history of the longest training that is allowed

Result<void> check(const ServeOptions& options) {
  if (options.lease < kShortestLease) {
    return Error(ErrorCode::kInvalidArgument, "--lease-seconds must be at least 0.5.");
  }
  if (options.local_workers < 0 || options.local_workers > kMostLocalWorkers) {
    return Error(ErrorCode::kInvalidArgument, "--local-workers must be from 0 to 64.");
  }
  if (options.checkpoint_max_age_days < 1 || options.checkpoint_max_age_days > kMostDays) {
    return Error(ErrorCode::kInvalidArgument, "--checkpoint-max-age-days must be from 1 to 36500.");
  }
  if (options.max_restarts < 0 || options.max_restarts > kMostRestarts) {
    return Error(ErrorCode::kInvalidArgument, "--max-restarts must be from 0 to 1000.");
  }
  return {};
}

Result<fs::path> worker_program(const ServeOptions& options) {
  std::error_code failed;
  const fs::path self = fs::read_symlink("/proc/self/exe", failed);
  const fs::path program = options.worker_program.value_or(self.parent_path() / "ktrdr-worker");
  if (options.local_workers > 0 && !fs::exists(program, failed)) {
    return Error(ErrorCode::kInvalidArgument,
                 "The worker program " + program.string() +
                     " is not there; build it, or start with --local-workers 0.");
  }
  return program;
}

Result<FileLock> lock_folder(const DataFolder& folder) {
  auto lock = FileLock::acquire(folder.lock());
  if (!lock.ok() && lock.error().code == ErrorCode::kConflict) {
    return Error(ErrorCode::kConflict, "Another ktrdr server uses the data folder " + folder.root.string() +
                                           "; stop it, or choose another folder with --data-dir.");
  }
  return lock;
}

// Where a process of this machine finds a server that listens on every address.
std::string reachable(const std::string& address) {
  if (address == "0.0.0.0") return "127.0.0.1";
  return address.find(':') == std::string::npos ? address : "[" + (address == "::" ? "::1" : address) + "]";
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// As it was given, but for a folder, which workers know by its whole path.
std::string place_of_checkpoints(const ServeOptions& options) {
  const bool is_folder = !options.checkpoints.empty() && !options.checkpoints.starts_with("s3://");
  return is_folder ? fs::absolute(options.checkpoints).string() : options.checkpoints;
}

std::string place_or(const std::string& given, const fs::path& fallback) {
  return given.empty() ? fallback.string() : given;
}

// What a local worker is told of places outside the data folder.
std::vector<std::string> places_of(const ServeOptions& options) {
  std::vector<std::string> arguments;
  const auto add = [&](const char* name, const std::optional<fs::path>& place) {
    if (place) arguments.insert(arguments.end(), {name, fs::absolute(*place)});
  };
  const std::string checkpoints = place_of_checkpoints(options);
  if (!checkpoints.empty()) arguments.insert(arguments.end(), {"--checkpoints", checkpoints});
  add("--models", options.models);
  if (options.log_format != LogFormat::kText)
    arguments.insert(arguments.end(), {"--log-format", std::string(to_string(options.log_format))});
  for (const std::string& peer : options.peers) arguments.insert(arguments.end(), {"--peer", peer});
  return arguments;
}

fs::path absolute_or(const std::optional<fs::path>& given, const fs::path& fallback) {
  return fs::absolute(given.value_or(fallback));
}

}  // namespace

// In the order of construction; destroyed in the reverse, so nothing outlives what it uses.
struct ControlPlane::Parts {
  Parts(Clock& machine_clock, const ServeOptions& options, DataFolder data_folder, FileLock folder_lock,
        fs::path program, std::unique_ptr<storage::OperationsRepository> repository,
        std::unique_ptr<checkpoints::CheckpointStore> store, std::string token)
      : clock(machine_clock),
        folder(std::move(data_folder)),
        lock(std::move(folder_lock)),
        lease(options.lease),
        heartbeat_interval(std::min(kLongestHeartbeat, options.lease / 5)),
        operations_repository(std::make_unique<MeasuredRepository>(metrics, std::move(repository))),
        checkpoint_store(std::move(store)),
        http_gateway(std::move(token)),
        gateway(metrics, http_gateway),
        registry(clock, heartbeat_interval),
        dispatcher(clock, *operations_repository, registry, gateway, lease / 8),
        dispatches("resumes", kDispatchThreads, kMostWaitingDispatches),
        starts("starts", kStartThreads, kMostWaitingStarts),
        operations(clock, *operations_repository, *checkpoint_store, registry, gateway, dispatcher,
                   dispatches, options.max_restarts),
        trainings(clock, *operations_repository, registry,
                  {.market_data = absolute_or(options.market_data, folder.market()),
                   .strategies = absolute_or(options.strategies, folder.strategies())}),
        lease_watch(options.lease),
        orphan_detector({.orphan_timeout_seconds = seconds(options.lease),
                         .check_interval_seconds = seconds(lease_watch.interval())}),
        checkpoints(clock, *operations_repository, *checkpoint_store),
        events(clock, *operations_repository),
        housekeeping(clock, checkpoints, *operations_repository, options.checkpoint_max_age_days * kDay),
        state_metrics(metrics, *operations_repository, registry),
        local_workers(clock, folder, std::move(program), options.local_workers, places_of(options)),
        routes{.clock = clock,
               .operations = operations,
               .trainings = trainings,
               .checkpoints = checkpoints,
               .events = events,
               .starts = starts,
               .workers = registry,
               .metrics = metrics,
               .wake_dispatcher = [this] { dispatch_loop->wake(); },
               .checkpoint_max_age_days = options.checkpoint_max_age_days,
               .checkpoints_place = place_or(place_of_checkpoints(options), folder.checkpoints()),
               .heartbeat_interval = heartbeat_interval,
               .orphan_detector = [this] { return *orphan_detector.lock(); },
               .problems = [this] { return local_workers.problems(); },
               .may_name_data_dir = options.require_token} {
    metrics::add_process_metrics(metrics, clock, {.name = "serve", .version = kVersion});
    metrics::add_free_disk_space(metrics, "data", [this] { return metrics::free_bytes_of(folder.root); });
  }

  ~Parts() {
    http_server.reset();  // before anything that its handlers use
    dispatches.stop();
    starts.stop();
  }

  void watch_leases();
  void could_not_watch();
  void start_loops();
  void start_local_workers();
  void stop_idle_workers();

  Clock& clock;
  const DataFolder folder;
  const FileLock lock;
  const Duration lease;
  const Duration heartbeat_interval;
  metrics::Registry metrics;
  std::unique_ptr<storage::OperationsRepository> operations_repository;
  std::unique_ptr<checkpoints::CheckpointStore> checkpoint_store;
  HttpWorkerGateway http_gateway;
  MeasuredWorkerGateway gateway;
  services::WorkerRegistry registry;
  services::Dispatcher dispatcher;
  services::TaskQueue dispatches;
  services::TaskQueue starts;  // reading market data takes its time; heartbeats must not wait behind it
  services::OperationsService operations;
  services::TrainingsService trainings;
  services::LeaseWatch lease_watch;
  Synchronized<api::OrphanDetectorInfo> orphan_detector;
  services::CheckpointService checkpoints;
  services::EventFeed events;
  services::Housekeeping housekeeping;
  StateMetrics state_metrics;
  LocalWorkers local_workers;
  RouteContext routes;
  std::unique_ptr<http::Server> http_server;
  std::string url;
  std::unique_ptr<services::PeriodicTask> dispatch_loop, lease_loop, waiters_loop, workers_loop,
      housekeeping_loop, metrics_loop;
};

Result<std::unique_ptr<ControlPlane>> ControlPlane::start(Clock& clock, const ServeOptions& options) {
  TRY(check(options));
  TRY_ASSIGN(fs::path program, worker_program(options));
  DataFolder folder{fs::absolute(options.data_dir)};
  TRY(folder.create());
  TRY_ASSIGN(FileLock lock, lock_folder(folder));
  std::string token;
  if (options.require_token) {
    TRY_ASSIGN(token, folder.token_text());
  }
  TRY_ASSIGN(auto store,
             checkpoints::open_checkpoint_store(place_or(place_of_checkpoints(options), folder.checkpoints()),
                                                client::process_environment()));
  TRY_ASSIGN(auto repository, storage::open_repository(options.database, folder.database(), clock));

  auto parts = std::make_unique<Parts>(clock, options, folder, std::move(lock), std::move(program),
                                       std::move(repository), std::move(store), token);
  parts->start_loops();
  const EndpointTable table = endpoint_table(parts->routes);
  TRY_ASSIGN(parts->http_server,
             http::Server::start({.address = options.address,
                                  .port = options.port,
                                  .token = options.require_token ? std::optional(token) : std::nullopt,
                                  .extra_allowed_hosts = options.allowed_hosts,
                                  .limits = {.body_bytes = kLargestBody, .connections = kMostConnections},
                                  .worker_threads = kHandlerThreads,
                                  .observer = endpoints::count_requests(parts->metrics, table)},
                                 endpoints::make_router(table)));
  parts->url = "http://" + reachable(options.address) + ":" + std::to_string(parts->http_server->port());
  TRY(replace_file_durably(folder.server_url(),
                           parts->url + "\n"));  // where workers and the command line find us
  parts->start_local_workers();
  return std::unique_ptr<ControlPlane>(new ControlPlane(std::move(parts)));
}

void ControlPlane::Parts::start_loops() {
  using services::PeriodicTask;
  dispatch_loop = std::make_unique<PeriodicTask>("dispatch", std::min(kDispatch, lease_watch.interval()),
                                                 [this] { dispatcher.dispatch_waiting(); });
  lease_loop = std::make_unique<PeriodicTask>("leases", lease_watch.interval(), [this] { watch_leases(); });
  waiters_loop =
      std::make_unique<PeriodicTask>("waiters", kAnswerWaiters, [this] { operations.answer_waiters(); });
  housekeeping_loop =
      std::make_unique<PeriodicTask>("housekeeping", kLookForHousekeeping, [this] { housekeeping.tend(); });
  metrics_loop = std::make_unique<PeriodicTask>(
      "metrics", kRefreshMetrics, [this] { state_metrics.refresh(local_workers.problems().size()); });
}

// Last, because a worker looks for the address file at once.
void ControlPlane::Parts::start_local_workers() {
  workers_loop =
      std::make_unique<services::PeriodicTask>("workers", kTendWorkers, [this] { local_workers.tend(); });
}

void ControlPlane::Parts::watch_leases() {
  // While the store takes no heartbeats, a row that stands still says nothing about its worker.
  if (operations.take_store_trouble(lease_watch.longest_heartbeat_in_store())) return could_not_watch();
  const auto pulses = operations_repository->pulses();
  if (!pulses.ok()) {
    could_not_watch();
    log(LogLevel::kWarning, "the leases could not be read", {{"error", pulses.error().describe()}});
    return;
  }
  const auto silent_ones = lease_watch.observe(*pulses, clock.monotonic());
  state_metrics.saw({{.claimed = pulses->size(), .longest_silence = lease_watch.longest_silence()}});
  orphan_detector.update([this](api::OrphanDetectorInfo& info) {
    info.potential_orphans_count = lease_watch.suspects();
    info.last_check = iso8601_utc(clock.wall_ms());
  });
  for (const storage::Pulse& silent : silent_ones) {
    if (const auto ended = operations.end_orphan(silent, services::lease_lapsed_message(silent, lease));
        !ended.ok()) {
      lease_watch.forget();
      log(LogLevel::kWarning, "a lapsed lease could not be ended",
          {{"operation", silent.id.value},
           {"attempt", std::to_string(silent.attempt)},
           {"worker", silent.owner ? silent.owner->value : ""},
           {"error", ended.error().describe()}});
    }
    events.changed(silent.id);
  }
}

// What we could not see, we did not watch.
void ControlPlane::Parts::could_not_watch() {
  lease_watch.forget();
  state_metrics.saw(std::nullopt);
}

// A worker that trains goes on without us; one that idles would only be left behind. Should one have taken
// work in this very moment, SIGTERM makes it save its place first.
void ControlPlane::Parts::stop_idle_workers() {
  const auto started_here = local_workers.running();
  for (const api::WorkerInfo& worker : registry.available()) {
    const pid_t pid =
        static_cast<pid_t>(std::strtol(api::member_of(worker.capabilities, "pid").c_str(), nullptr, 10));
    if (std::find(started_here.begin(), started_here.end(), pid) != started_here.end()) ::kill(pid, SIGTERM);
  }
}

ControlPlane::ControlPlane(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

ControlPlane::~ControlPlane() { stop(); }

const std::string& ControlPlane::url() const { return parts_->url; }

void ControlPlane::stop() {
  if (!parts_->http_server) return;
  parts_->workers_loop.reset();  // no new workers, so that those that go stay gone
  parts_->stop_idle_workers();
  parts_->http_server->stop();
  parts_->http_server.reset();
  parts_->dispatches.drop_waiting();  // what they hold is in the rows
  parts_->dispatches.stop();
  parts_->starts.drop_waiting();  // their clients were answered 503
  parts_->starts.stop();
  for (auto* loop : {&parts_->dispatch_loop, &parts_->lease_loop, &parts_->waiters_loop,
                     &parts_->housekeeping_loop, &parts_->metrics_loop}) {
    loop->reset();
  }
}

}  // namespace ktrdr::server
