#include "serve_command.h"

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "ktrdr/cli/exit_code.h"
#include "ktrdr/client/api_client.h"
#include "ktrdr/client/server_address.h"
#include "ktrdr/core/log.h"
#include "ktrdr/core/service_manager.h"
#include "ktrdr/core/termination.h"
#include "ktrdr/server/control_plane.h"

namespace ktrdr {
namespace {

struct Arguments {
  server::ServeOptions options;
  double lease_seconds = 10;
  bool no_auth = false;
};

void declare(CLI::App& app, Arguments& arguments) {
  auto& options = arguments.options;
  options.data_dir = client::find_data_dir({}, client::process_environment());
  app.add_option("--data-dir", options.data_dir,
                 "Everything is kept here: database, token, checkpoints, models")
      ->capture_default_str();
  app.add_option("--port,-p", options.port, "The port to listen on; 0: any free one")->capture_default_str();
  app.add_option("--address", options.address, "The address to listen on")->capture_default_str();
  app.add_option("--local-workers", options.local_workers, "How many workers to start and keep running here")
      ->capture_default_str();
  app.add_option("--worker-program", options.worker_program,
                 "The program of local workers (default: ktrdr-worker beside this one)");
  app.add_option("--lease-seconds", arguments.lease_seconds,
                 "How long a worker may be silent before its operation fails")
      ->capture_default_str();
  app.add_option("--max-restarts", options.max_restarts,
                 "How often an operation whose worker failed, fell silent or was shut down goes on by itself")
      ->capture_default_str();
  app.add_option(
      "--database", options.database,
      "Where operations are kept: postgresql://USER@HOST/NAME (several servers may share it; give the "
      "password in PGPASSWORD or ~/.pgpass), memory: (nothing outlives the server); default: SQLite "
      "in DATA_DIR");
  app.add_option("--peer", options.peers,
                 "Another server of the same database: local workers turn to it when this one is away "
                 "(repeatable; all need the same token file)");
  app.add_option("--checkpoints", options.checkpoints,
                 "Where checkpoints are kept: a folder or s3://BUCKET/PREFIX, the same for all servers of a "
                 "database (default: DATA_DIR/checkpoints)");
  app.add_option("--checkpoint-max-age-days", options.checkpoint_max_age_days,
                 "Once a day, checkpoints that are older go, unless their operation is live")
      ->capture_default_str();
  app.add_option("--models", options.models, "Where finished models are kept (default: DATA_DIR/models)");
  app.add_option("--market-data", options.market_data,
                 "Where SYMBOL_timeframe.csv files are (default: DATA_DIR/market)");
  app.add_option("--strategies", options.strategies,
                 "Where strategies are looked up by name (default: DATA_DIR/strategies)");
  app.add_option("--allow-host", options.allowed_hosts,
                 "A name by which other machines reach this server (repeatable)");
  app.add_option_function<std::string>(
         "--log-format",
         [&options](const std::string& word) { options.log_format = *log_format_named(word); },
         "How the log's lines are written: text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->default_str("text");
  app.add_flag("--no-auth", arguments.no_auth, "Accept requests without a token; on a loopback address only");
  app.footer(
      "Example: ktrdr serve --data-dir ./data --port 8000 --local-workers 2\n"
      "Exit codes: 0 ended by SIGTERM or Ctrl+C, trainings go on in their workers; else those of every "
      "command.");
}

// A sign of life says that requests are answered, not only that this thread runs.
void wait_for_the_end(const TerminationSignals& termination, const ServiceManager& manager,
                      const std::string& url) {
  const auto every = manager.alive_every();
  if (!every) return termination.wait();
  client::ApiClient api({.url = url, .token = ""}, *every);
  do {
    if (api.health().ok()) manager.alive();
  } while (!termination.wait_for(*every));
}

// A worker's connection is a file to us; what a shell grants by default is 1024.
void allow_many_connections() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

int serve(const Arguments& arguments, cli::Streams& streams) {
  const ServiceManager manager = ServiceManager::from_environment();
  const TerminationSignals termination;
  start_logging("serve", LogLevel::kInfo, arguments.options.log_format);
  allow_many_connections();
  server::ServeOptions options = arguments.options;
  options.require_token = !arguments.no_auth;
  options.lease = Duration(static_cast<Duration::rep>(arguments.lease_seconds * 1000));
  SystemClock clock;
  auto control_plane = server::ControlPlane::start(clock, options);
  if (!control_plane.ok()) {
    streams.err << "Error: " << control_plane.error().describe() << "\n";
    return static_cast<int>(cli::exit_code_of(control_plane.error().code));
  }
  streams.out << "ktrdr is ready at " << (*control_plane)->url() << std::endl;
  manager.ready();
  wait_for_the_end(termination, manager, (*control_plane)->url());
  manager.stopping();
  streams.err << "Stopping. Trainings go on in their workers." << std::endl;
  (*control_plane)->stop();
  return 0;
}

}  // namespace

cli::ExtraCommand serve_command() {
  auto arguments = std::make_shared<Arguments>();
  return {.name = "serve",
          .description = "Run the server and its local workers",
          .configure = [arguments](CLI::App& app) { declare(app, *arguments); },
          .run = [arguments](cli::Streams& streams) { return serve(*arguments, streams); }};
}

}  // namespace ktrdr
