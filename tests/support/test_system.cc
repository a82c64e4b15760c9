#include "support/test_system.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "ktrdr/client/server_address.h"
#include "ktrdr/core/digest.h"
#include "ktrdr/core/durable_file.h"
#include "ktrdr/strategy/testing/market_generator.h"

namespace ktrdr::system_test {
namespace {

namespace fs = std::filesystem;

constexpr Duration kReadyWithin = std::chrono::seconds(10);

client::Environment no_environment() {
  return [](const std::string&) { return std::nullopt; };
}

std::string first_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

// Every process whose command line names the folder: also workers that outlived their server.
std::vector<pid_t> processes_of(const fs::path& folder) {
  std::vector<pid_t> pids;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream stream(entry.path() / "cmdline");
    const std::string command((std::istreambuf_iterator<char>(stream)), {});
    if (command.find("ktrdr-worker") != std::string::npos &&
        command.find(folder.string()) != std::string::npos) {
      pids.push_back(static_cast<pid_t>(std::stol(name)));
    }
  }
  return pids;
}

}  // namespace

TestSystem::TestSystem(SystemOptions options) : options_(options) {
  fs::create_directories(market());
  fs::create_directories(strategies());
  strategy::testing::write_market(
      market(), strategy::testing::make_market({.symbol = "TEST", .rows = 6000, .seed = 11}));
  if (options_.token) {
    fs::create_directories(data_dir());
    EXPECT_TRUE(replace_file_durably(data_dir() / "token", *options_.token + "\n", 0600).ok());
  }
  start_server();
}

TestSystem::~TestSystem() { kill_everything(); }

void TestSystem::kill_everything() {
  if (server_) server_->kill_and_reap();  // first, so that it starts no new workers
  workers_.clear();
  for (const pid_t pid : processes_of(data_dir())) {
    ::kill(pid, SIGCONT);
    ::kill(pid, SIGKILL);
  }
  eventually([this] { return processes_of(data_dir()).empty(); });
}

void TestSystem::start_server() {
  fs::remove(data_dir() / "server.url");
  server_ = std::make_unique<ChildProcess>(Command{.program = fs::path(KTRDR_PROGRAMS) / "ktrdr",
                                                   .arguments = serve_arguments(),
                                                   .output = folder() / "server.log"});
  const bool ready = eventually(
      [this] {
        api_.reset();
        return fs::exists(data_dir() / "server.url") && api().health().ok();
      },
      kReadyWithin);
  ASSERT_TRUE(ready) << "the server is not ready; see " << folder() / "server.log";
}

std::vector<std::string> TestSystem::serve_arguments() const {
  std::vector<std::string> arguments = {"serve",
                                        "--data-dir",
                                        data_dir(),
                                        "--port",
                                        "0",
                                        "--local-workers",
                                        std::to_string(options_.local_workers),
                                        "--lease-seconds",
                                        std::to_string(options_.lease_seconds)};
  if (options_.without_tokens) {
    const std::vector<std::string> more = {"--no-auth", "--market-data", market(), "--strategies",
                                           strategies()};
    arguments.insert(arguments.end(), more.begin(), more.end());
  }
  arguments.insert(arguments.end(), options_.serve_options.begin(), options_.serve_options.end());
  return arguments;
}

void TestSystem::kill_server() { server_->kill_and_reap(); }

std::optional<int> TestSystem::stop_server(Duration within) {
  server_->signal(SIGTERM);
  return server_->wait(within);
}

ChildProcess& TestSystem::start_worker(const std::string& name,
                                       const std::vector<std::string>& more_options) {
  std::vector<std::string> arguments = {"--data-dir", data_dir(), "--name", name};
  arguments.insert(arguments.end(), more_options.begin(), more_options.end());
  workers_.push_back(
      std::make_unique<ChildProcess>(Command{.program = fs::path(KTRDR_PROGRAMS) / "ktrdr-worker",
                                             .arguments = std::move(arguments),
                                             .output = folder() / (name + ".log")}));
  return *workers_.back();
}

client::ApiClient& TestSystem::api() {
  if (!api_) {
    auto address = client::find_server({.data_dir = data_dir()}, no_environment());
    api_ = std::make_unique<client::ApiClient>(
        address.ok() ? *address : client::ServerAddress{"http://127.0.0.1:1", ""});
  }
  return *api_;
}

std::string TestSystem::token() const { return first_line(data_dir() / "token"); }
std::string TestSystem::url() const { return first_line(data_dir() / "server.url"); }

OperationId TestSystem::start_training(const TrainingWish& wish) {
  const auto started = api().start_training({.strategy_yaml = wish.strategy_yaml,
                                             .data_dir = market().string(),
                                             .seed = wish.seed,
                                             .checkpoint_every_epochs = wish.checkpoint_every_epochs,
                                             .checkpoint_every_seconds = wish.checkpoint_every_seconds,
                                             .checkpoint_budget_percent = wish.checkpoint_budget_percent});
  EXPECT_TRUE(started.ok()) << (started.ok() ? "" : started.error().describe());
  return {started.ok() ? started->task_id : "none"};
}

api::Operation TestSystem::operation(const OperationId& id) {
  const auto response = api().operation(id);
  return response.ok() ? response->data : api::Operation{};
}

api::Operation TestSystem::wait_for_status(const OperationId& id, api::OperationStatus status,
                                           Duration timeout) {
  api::Operation last;
  const bool there = eventually(
      [&] { return (last = operation(id)).status == status && !last.operation_id.empty(); }, timeout);
  EXPECT_TRUE(there) << "waited for " << to_string(status) << ", it is " << to_string(last.status) << " ("
                     << to_string(last.phase) << "): " << last.error_message.value_or("") << "; logs in "
                     << folder();
  return last;
}

api::Operation TestSystem::wait_for_step(const OperationId& id, std::int64_t step) {
  api::Operation last;
  const bool there = eventually([&] {
    last = operation(id);
    return last.progress.context.global_step >= step || is_finished(last.status);
  });
  EXPECT_TRUE(there) << "waited for step " << step << ", it is at " << last.progress.context.global_step;
  return last;
}

void TestSystem::wait_for_workers(std::int64_t count) {
  const bool there = eventually([&] {
    const auto health = api().health();
    return health.ok() && health->workers_connected >= count;
  });
  EXPECT_TRUE(there) << "waited for " << count << " workers";
}

std::string TestSystem::worker_url(const std::string& name) {
  std::string url;
  const bool there = eventually([&] {
    const auto workers = api().workers();
    if (!workers.ok()) return false;
    const auto worker = std::find_if(workers->begin(), workers->end(),
                                     [&](const api::WorkerInfo& one) { return one.name == name; });
    if (worker != workers->end()) url = worker->endpoint_url;
    return !url.empty();
  });
  EXPECT_TRUE(there) << "waited for worker " << name;
  return url;
}

void TestSystem::wait_for_a_free_worker() {
  const bool there = eventually([&] {
    const auto workers = api().workers();
    return workers.ok() && std::any_of(workers->begin(), workers->end(),
                                       [](const auto& worker) { return worker.status == "available"; });
  });
  EXPECT_TRUE(there) << "waited for a free worker";
}

pid_t TestSystem::worker_pid(const OperationId& id) {
  const auto owner = operation(id).worker_id;
  const auto workers = api().workers();
  if (!owner || !workers.ok()) return 0;
  for (const auto& worker : *workers) {
    if (worker.worker_id == *owner)
      return static_cast<pid_t>(std::stol("0" + api::member_of(worker.capabilities, "pid")));
  }
  return 0;
}

pid_t TestSystem::signal_worker(const OperationId& id, int number) {
  pid_t pid = 0;
  EXPECT_TRUE(eventually([&] { return (pid = worker_pid(id)) != 0; })) << "no worker owns " << id.value;
  if (pid != 0) ::kill(pid, number);
  return pid;
}

void TestSystem::resume(const OperationId& id) {
  const auto resumed = api().resume(id, {});
  EXPECT_TRUE(resumed.ok()) << (resumed.ok() ? "" : resumed.error().describe());
}

Command TestSystem::ktrdr_command(std::vector<std::string> arguments) const {
  return {.program = fs::path(KTRDR_PROGRAMS) / "ktrdr",
          .arguments = std::move(arguments),
          .environment = {{"KTRDR_DATA_DIR", data_dir()}}};
}

Finished TestSystem::ktrdr(std::vector<std::string> arguments, Duration timeout) {
  return run(ktrdr_command(std::move(arguments)), timeout);
}

Fingerprint fingerprint_of(TestSystem& system, const OperationId& id) {
  const api::Operation operation = system.operation(id);
  Fingerprint fingerprint;
  if (!operation.result_summary) return fingerprint;
  auto result = api::from_json<api::TrainingResult>(operation.result_summary->text);
  EXPECT_TRUE(result.ok());
  for (const auto& file : fs::directory_iterator(result->model_path)) {
    const std::string name = file.path().filename();
    if (name != "timing.json") fingerprint[name] = *sha256_of_file(file.path());
  }
  EXPECT_EQ(fingerprint["model.safetensors"], result->model_sha256);
  result->model_path.clear();
  fingerprint["result"] = api::to_json(*result);
  fingerprint["metrics"] = api::to_json(operation.metrics.value_or(api::OperationMetrics{}));
  return fingerprint;
}

Reference train_undisturbed(const TrainingWish& wish, Duration patience) {
  TestSystem system;
  const OperationId id = system.start_training(wish);
  const auto operation = system.wait_for_status(id, api::OperationStatus::kCompleted, patience);
  return {fingerprint_of(system, id), operation.progress.context.global_step};
}

std::string demanding_strategy(int epochs) {
  return R"(name: demanding
version: "3.0"
training_data:
  symbols: {mode: single, symbol: TEST}
  timeframes: {mode: single, timeframe: 1h}
indicators:
  rsi_14: {type: rsi, period: 14}
  momentum: {type: roc, period: 12}
  trend: {type: macd}
  strength: {type: adx, period: 14}
fuzzy_sets:
  rsi_state:
    indicator: rsi_14
    low: [0, 20, 45]
    middle: {type: trapezoidal, parameters: [30, 45, 55, 70]}
    high: {type: triangular, parameters: [55, 80, 100]}
  speed:
    indicator: momentum
    falling: {type: gaussian, parameters: [-1.5, 1.0]}
    rising: {type: gaussian, parameters: [1.5, 1.0]}
  direction:
    indicator: trend.histogram
    down: {type: gaussian, parameters: [-0.3, 0.3]}
    up: {type: gaussian, parameters: [0.3, 0.3]}
  vigour:
    indicator: strength.adx
    weak: [0, 10, 25]
    strong: [20, 40, 100]
nn_inputs:
  - {fuzzy_set: rsi_state, timeframes: all}
  - {fuzzy_set: speed, timeframes: all}
  - {fuzzy_set: direction, timeframes: all}
  - {fuzzy_set: vigour, timeframes: all}
model: {type: mlp, architecture: {hidden_layers: [24, 12], dropout: 0.2, activation: relu}}
decisions: {output_format: classification}
training:
  labels: {source: zigzag, zigzag_threshold: 0.01}
  data_split: {train: 0.7, validation: 0.15, test: 0.15}
  epochs: )" +
         std::to_string(epochs) + R"(
  batch_size: 32
  learning_rate: 0.002
  optimizer: {type: adam, weight_decay: 0.0001}
  gradient_clip: 1.0
  lr_scheduler: {type: reduce_on_plateau, factor: 0.5, patience: 3}
  early_stopping: {patience: 1000, min_delta: 0.0, monitor: val_loss}
)";
}

}  // namespace ktrdr::system_test
