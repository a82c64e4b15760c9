// ktrdr-worker: trains for a ktrdr server. The only program that links a tensor library.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "ktrdr/core/log.h"
#include "ktrdr/core/service_manager.h"
#include "ktrdr/core/termination.h"
#include "ktrdr/engine_torch/torch_engine.h"
#include "ktrdr/engine_torch/torch_environment.h"
#include "ktrdr/worker/worker_process.h"

namespace {

using namespace ktrdr;

constexpr Duration kShutdownWithin =
    std::chrono::seconds(22);  // 25 s with the last calls of the other threads

struct Arguments {
  worker::WorkerOptions options;
  std::string url;
  int requeue_exit = 0;
  LogFormat log_format = LogFormat::kText;
};

std::filesystem::path default_data_dir() { return client::find_data_dir({}, client::process_environment()); }

void declare(CLI::App& app, Arguments& arguments) {
  arguments.options.data_dir = default_data_dir();
  app.add_option("--data-dir", arguments.options.data_dir,
                 "The server's data folder: its address, token and storage");
  app.add_option("--url", arguments.url, "The server's address, when it is not in the data folder");
  app.add_option("--peer", arguments.options.peers,
                 "Another server of the same database, asked when this one is away (repeatable)");
  app.add_option("--checkpoints", arguments.options.checkpoints,
                 "Where checkpoints go: a folder or s3://BUCKET/PREFIX (default: DATA_DIR/checkpoints)");
  app.add_option("--models", arguments.options.models, "Where finished models go (default: DATA_DIR/models)");
  app.add_option("--name", arguments.options.name, "The name that people see")->capture_default_str();
  app.add_option("--address", arguments.options.address, "The address to listen on")->capture_default_str();
  app.add_option("--port", arguments.options.port, "The port to listen on; 0: any free one")
      ->capture_default_str();
  app.add_option(
      "--requeue-exit", arguments.requeue_exit,
      "Exit with this code when SIGTERM interrupted a training (75 makes a cluster scheduler requeue it)");
  app.add_option_function<std::string>(
         "--log-format",
         [&arguments](const std::string& word) { arguments.log_format = *log_format_named(word); },
         "How the log's lines are written: text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->default_str("text");
  app.add_flag("--exit-when-idle-alone", arguments.options.exit_when_idle_alone,
               "End when idle and no server was there for a minute");
  app.footer(
      "Example: ktrdr-worker --data-dir ~/.ktrdr --name desk\n"
      "Exit codes: 0 ended as asked, 1 could not start, 2 bad options, N with --requeue-exit N.");
}

void wait_for_the_end(const TerminationSignals& termination, const ServiceManager& manager,
                      const worker::WorkerProcess& process) {
  constexpr Duration kLookAgain = std::chrono::seconds(1);
  const Duration pause = std::min(manager.alive_every().value_or(kLookAgain), kLookAgain);
  do {
    if (manager.alive_every()) manager.alive();
  } while (!process.wants_to_end() && !termination.wait_for(pause));
}

int run(Arguments& arguments) {
  const ServiceManager manager = ServiceManager::from_environment();
  const TerminationSignals termination;
  SystemClock clock;
  if (!arguments.url.empty()) arguments.options.server.url = arguments.url;
  const auto engines = engine_torch::make_torch_engine_factory();
  auto process =
      worker::WorkerProcess::start(clock, *engines, arguments.options, client::process_environment());
  if (!process.ok()) {
    std::fprintf(stderr, "Error: %s\n", process.error().describe().c_str());
    return 1;
  }
  log(LogLevel::kInfo, "worker is ready",
      {{"pid", std::to_string(getpid())}, {"port", std::to_string((*process)->port())}});
  manager.ready();
  wait_for_the_end(termination, manager, **process);
  manager.stopping();
  const worker::ShutDown ended = (*process)->shut_down(kShutdownWithin);
  const int code = ended == worker::ShutDown::kIdle ? 0 : arguments.requeue_exit;
  if (ended == worker::ShutDown::kOutOfTime) {
    log(LogLevel::kError, "the training did not stop in time; its last checkpoint is what counts");
    std::_Exit(code);
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  // Before anything computes: it decides bits.
  if (const auto pinned = ktrdr::engine_torch::reexecute_with_pinned_environment(argv); !pinned.ok()) {
    std::fprintf(stderr, "Error: %s\n", pinned.error().describe().c_str());
    return 1;
  }
  CLI::App app("Trains for a ktrdr server.");
  Arguments arguments;
  declare(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return app.exit(wrong) == 0 ? 0 : 2;
  }
  ktrdr::start_logging("worker", ktrdr::LogLevel::kInfo, arguments.log_format);
  return run(arguments);
}
