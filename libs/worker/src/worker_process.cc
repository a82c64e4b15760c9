#include "ktrdr/worker/worker_process.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "ktrdr/checkpoints/open_checkpoint_store.h"
#include "ktrdr/core/log.h"
#include "ktrdr/endpoints/request_metrics.h"
#include "ktrdr/metrics/process_metrics.h"
#include "worker_routes.h"

namespace ktrdr::worker {
namespace {

constexpr Duration kUntilFirstAnswer = std::chrono::milliseconds(100);
constexpr Duration kServerIsAway = std::chrono::milliseconds(250);  // then twice as long, and so on
constexpr Duration kLongestAway = std::chrono::seconds(2);
constexpr Duration kAloneForTooLong = std::chrono::seconds(60);

std::filesystem::path models_folder(const WorkerOptions& options) {
  return options.models.value_or(options.data_dir / "models");
}

}  // namespace

WorkerProcess::WorkerProcess(Clock& clock, training::EngineFactory& engines, WorkerOptions options,
                             client::Environment environment,
                             std::unique_ptr<checkpoints::CheckpointStore> checkpoints,
                             checkpoints::ModelStore models)
    : clock_(clock),
      options_(std::move(options)),
      metrics_(
          clock, [] { return std::chrono::steady_clock::now().time_since_epoch(); }, registry_),
      server_(options_.server, std::move(environment), options_.peers),
      measured_server_(clock, server_, registry_),
      checkpoints_(std::move(checkpoints)),
      measured_checkpoints_(clock, *checkpoints_, registry_),
      models_(std::move(models)),
      worker_(clock, measured_server_, measured_checkpoints_, {new_worker_id(), options_.name},
              run_on_threads({clock, measured_server_, measured_checkpoints_, models_, engines, metrics_},
                             [this] { life_.update([](Life& life) { life.woken = true; }); })),
      last_contact_(clock.monotonic()),
      away_pause_(kServerIsAway) {
  describe_process();
}

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::start(Clock& clock, training::EngineFactory& engines,
                                                            WorkerOptions options,
                                                            client::Environment environment) {
  options.server.data_dir = options.data_dir;
  if (options.checkpoints.empty()) options.checkpoints = options.data_dir / "checkpoints";
  TRY_ASSIGN(auto checkpoints, checkpoints::open_checkpoint_store(options.checkpoints, environment));
  TRY_ASSIGN(auto models, checkpoints::ModelStore::open(models_folder(options)));
  std::unique_ptr<WorkerProcess> process(new WorkerProcess(
      clock, engines, std::move(options), std::move(environment), std::move(checkpoints), std::move(models)));
  const std::string token = process->server_.token();
  const auto table = endpoint_table(process->worker_, process->registry_);
  TRY_ASSIGN(process->http_server_,
             http::Server::start({.address = process->options_.address,
                                  .port = process->options_.port,
                                  .token = token.empty() ? std::nullopt : std::optional(token),
                                  .observer = endpoints::count_requests(process->registry_, table)},
                                 endpoints::make_router(table)));
  process->registration_thread_ = std::jthread([raw = process.get()] { raw->sign_of_life_loop(); });
  return process;
}

WorkerProcess::~WorkerProcess() {
  life_.update([](Life& life) { life.ending = true; });
  if (registration_thread_.joinable()) registration_thread_.join();
}

void WorkerProcess::describe_process() {
  metrics::add_process_metrics(registry_, clock_, {.name = "worker", .version = kVersion});
  metrics::add_free_disk_space(registry_, "checkpoints", [this] { return checkpoints_->free_bytes(); });
  metrics::add_free_disk_space(registry_, "models",
                               [folder = models_folder(options_)] { return metrics::free_bytes_of(folder); });
}

ShutDown WorkerProcess::shut_down(Duration at_most) { return worker_.shut_down(at_most); }

void WorkerProcess::sign_of_life_loop() {
  pthread_setname_np(pthread_self(), "registration");
  const auto ending = [this](Duration pause) {
    return life_.wait(
        pause, [](Life& life) { return life.ending || life.woken; },
        [](Life& life, bool) {
          life.woken = false;
          return life.ending;
        });
  };
  Duration pause = kUntilFirstAnswer;
  while (!ending(pause)) pause = sign_of_life();
}

Duration WorkerProcess::sign_of_life() {
  const auto info = server_.register_worker(registration());
  measured_server_.note_registration(info.ok());
  if (info.ok()) {
    last_contact_ = clock_.monotonic();
    away_pause_ = kServerIsAway;
    refused_because_.clear();
    return Duration(info->heartbeat_interval_ms);
  }
  tell_why(info.error());
  const bool alone = clock_.monotonic() - last_contact_ > kAloneForTooLong && !worker_.current_operation();
  if (options_.exit_when_idle_alone && alone) wants_to_end_ = true;
  return std::exchange(away_pause_, std::min(2 * away_pause_, kLongestAway));
}

// A server that is away comes back; one that refuses does so until somebody reads why.
void WorkerProcess::tell_why(const Error& not_registered) {
  const std::string reason = not_registered.describe();
  if (not_registered.code == ErrorCode::kUnavailable) {
    log(LogLevel::kDebug, "the server does not answer", {{"error", reason}});
  } else if (std::exchange(refused_because_, reason) != reason) {
    log(LogLevel::kWarning, "the server refuses this worker", {{"error", reason}});
  }
}

api::WorkerRegistration WorkerProcess::registration() const {
  const auto operation = worker_.current_operation();
  return {.worker_id = worker_.identity().id.value,
          .name = worker_.identity().name,
          .endpoint_url = "http://" + options_.address + ":" + std::to_string(http_server_->port()),
          .capabilities = {R"({"pid":)" + std::to_string(::getpid()) + R"(,"gpu":false})"},
          .current_operation_id = operation ? std::optional(operation->value) : std::nullopt};
}

}  // namespace ktrdr::worker
