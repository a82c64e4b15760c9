// Our server and the same two routes on FastAPI, SQLAlchemy and PostgreSQL (peer/app.py), in turns, each on
// the same one core; wrk and PostgreSQL have another one.
#include <sched.h>
#include <time.h>

#include <array>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "benches.h"
#include "kept_clients.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/storage/postgres_repository.h"
#include "ktrdr/storage/sqlite_repository.h"
#include "programs.h"
#include "rows.h"

namespace ktrdr::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kServersCore = 0, kOtherCore = 1;
constexpr int kRounds = 3, kMostTries = 5, kWarmUpRequests = 150;
constexpr const char* kConnections = "32";
constexpr double kThroughputBound = 20, kP99Bound = 1.0 / 3;

const OperationId kFailed{"op_failed"}, kRunning{"op_running"};

struct Route {
  std::string name;
  std::string method;
  std::string path;
  int status;
};
const std::array kRoutes = {
    Route{"get", "GET", "/api/v1/operations/" + kFailed.value, 200},
    Route{"refused_resume", "POST", "/api/v1/operations/" + kRunning.value + "/resume", 409}};

// Of a machine that others use too, a program with several threads gets a larger part of its core than one
// with a single thread; so requests are also counted by the second of the server's own processor time.
struct Load {
  double requests_per_second = 0, p99_ms = 0, requests_per_processor_second = 0;
};

// wrk's own summary is for people; this one is for us: requests, microseconds, p99 in microseconds, answers
// of 400 and above, requests that got no answer.
constexpr const char* kScript = R"lua(
wrk.method = "%METHOD%"
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("\nsummary %d %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(99),
                         e.status, e.connect + e.read + e.write + e.timeout))
end
)lua";

fs::path write_script(const testing::TemporaryFolder& folder, const std::string& method) {
  std::string script = kScript;
  script.replace(script.find("%METHOD%"), std::string("%METHOD%").size(), method);
  const fs::path file = folder / (method + ".lua");
  std::ofstream(file) << script;
  return file;
}

struct Contestant {
  std::string name;
  int port;
  pid_t process;
};

double processor_seconds(pid_t process) {
  clockid_t clock = 0;
  timespec time{};
  CHECK(clock_getcpuclockid(process, &clock) == 0 && clock_gettime(clock, &time) == 0,
        "the server still runs");
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Ends the bench when a single answer was not the expected one: a fast wrong answer is no figure. Nothing
// when the server got no processor time for a whole second: the machine is too busy then.
std::optional<Load> load_once(const Contestant& contestant, const Route& route, const fs::path& script) {
  const double before = processor_seconds(contestant.process);
  const auto finished = system_test::run(
      pinned({.program = "/usr/bin/wrk",
              .arguments = {"--threads", "1", "--connections", kConnections, "--duration", "1s", "--script",
                            script, "http://127.0.0.1:" + std::to_string(contestant.port) + route.path},
              .environment = {},
              .output = {}},
             kOtherCore));
  const double used = processor_seconds(contestant.process) - before;
  const auto at = finished.out.find("\nsummary ");
  CHECK(at != std::string::npos, "wrk is installed and reaches the server");
  std::istringstream numbers(finished.out.substr(at + std::string("\nsummary ").size()));
  double requests = 0, microseconds = 0, p99 = 0, refused = 0, lost = 0;
  numbers >> requests >> microseconds >> p99 >> refused >> lost;
  CHECK(lost == 0 && refused == (route.status >= 400 ? requests : 0), "every answer is the expected one");
  if (requests == 0) return std::nullopt;
  return Load{requests / microseconds * 1e6, p99 / 1000, requests / used};
}

Load load(const Contestant& contestant, const Route& route, const fs::path& script) {
  for (int tries = 0; tries < kMostTries; ++tries) {
    if (const auto measured = load_once(contestant, route, script)) return *measured;
  }
  CHECK(false, "a machine that has time for other things answers a request within seconds");
  return {};
}

std::string request_of(const Route& route) {
  return route.method == "GET" ? get_request(route.path) : post_request(route.path);
}

void warm_up(const Contestant& contestant, const Route& route) {
  KeptClients clients({contestant.port}, 32);
  int sent = 0;
  clients.run(
      [&](std::size_t) { return sent++ < kWarmUpRequests ? std::optional(request_of(route)) : std::nullopt; },
      [&](std::size_t, const Answer& answer) { CHECK(answer.status == route.status, "it answers right"); });
}

// Timestamps are made by each program's own clock, so they are compared where one row is read by both.
bool answers_are_the_same(const Contestant& ours, const Contestant& peer) {
  const auto answer = [](const Contestant& from) {
    return nlohmann::json::parse(ask(from.port, request_of(kRoutes[0])).body, nullptr, false);
  };
  const auto difference = nlohmann::json::diff(answer(ours), answer(peer));
  for (const auto& one : difference) std::fprintf(stderr, "  answers differ: %s\n", one.dump().c_str());
  return difference.empty();
}

using Rounds = std::map<std::string, std::vector<Load>>;  // by contestant

Rounds in_turns(const std::vector<Contestant>& contestants, const Route& route, const fs::path& script) {
  Rounds rounds;
  for (const Contestant& contestant : contestants) warm_up(contestant, route);
  for (int round = 0; round < kRounds; ++round) {
    for (const Contestant& contestant : contestants) {
      rounds[contestant.name].push_back(load(contestant, route, script));
    }
  }
  for (const auto& [name, loads] : rounds) {
    std::fprintf(stderr, "  %-15s %-9s", route.name.c_str(), name.c_str());
    for (const Load& one : loads) {
      std::fprintf(stderr, " %7.0f/s (%.0f) p99 %6.2f ms", one.requests_per_second,
                   one.requests_per_processor_second, one.p99_ms);
    }
    std::fprintf(stderr, "\n");
  }
  return rounds;
}

// The median of the ratios of each round, by the clock or by processor time, whichever is worse for us.
void judge(Figures& figures, const Route& route, const Rounds& rounds, const std::string& ours) {
  std::vector<double> throughput, p99;
  for (std::size_t i = 0; i < kRounds; ++i) {
    const Load& us = rounds.at(ours)[i];
    const Load& peer = rounds.at("peer")[i];
    throughput.push_back(std::min(us.requests_per_second / peer.requests_per_second,
                                  us.requests_per_processor_second / peer.requests_per_processor_second));
    p99.push_back(us.p99_ms / peer.p99_ms);
  }
  figures.at_least(route.name + "_" + ours + "_throughput_of_peers", median(throughput), kThroughputBound);
  figures.below(route.name + "_" + ours + "_p99_of_peers", median(p99), kP99Bound);
}

void add_rows(storage::OperationsRepository& store) {
  add_failed(store, kFailed.value);
  add_failed(store, kRunning.value);
  CHECK(store.try_resume(kRunning, false, {}, std::nullopt).ok(), "a failed operation is resumed");
}

void pin(pid_t process, int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(static_cast<std::size_t>(core), &cores);
  CHECK(sched_setaffinity(process, sizeof(cores), &cores) == 0, "this machine has two cores");
}

Listening start_peer(const std::string& uri, const fs::path& log) {
  const int port = free_port();
  const std::string scheme = "postgresql";
  system_test::Command command{
      .program = "/usr/bin/uvicorn",
      .arguments = {"--app-dir", fs::path(KTRDR_SOURCE_DIR) / "bench" / "peer", "--port",
                    std::to_string(port), "--workers", "1", "--loop", "uvloop", "--http", "httptools",
                    "--no-access-log", "--log-level", "warning", "app:app"},
      .environment = {{"DATABASE_URL", scheme + "+asyncpg" + uri.substr(scheme.size())}},
      .output = log};
  return Listening(std::move(command), port, kServersCore);
}

}  // namespace

void compare_with_peer(Figures& figures, storage::testing::PostgresCluster& cluster) {
  pin(cluster.pid(), kOtherCore);  // its processes inherit this
  cluster.create_database("peers");
  const std::string uri = cluster.uri("peers");
  const testing::TemporaryFolder folder;
  const OurServer on_postgres(uri, folder / "postgres", kServersCore),
      on_sqlite("", folder / "sqlite", kServersCore);
  SystemClock clock;
  add_rows(*storage::open_postgres_repository(uri, clock).value());
  add_rows(*storage::open_sqlite_repository(OurServer::database_file(folder / "sqlite"), clock).value());
  const Listening peer = start_peer(uri, folder / "peer.log");
  const std::vector<Contestant> contestants = {{"postgres", on_postgres.port(), on_postgres.pid()},
                                               {"sqlite", on_sqlite.port(), on_sqlite.pid()},
                                               {"peer", peer.port(), peer.pid()}};
  if (!answers_are_the_same(contestants[0], contestants[2]))
    figures.broken("the peer answers something else");
  for (const Route& route : kRoutes) {
    const Rounds rounds = in_turns(contestants, route, write_script(folder, route.method));
    judge(figures, route, rounds, "postgres");
    judge(figures, route, rounds, "sqlite");
  }
}

}  // namespace ktrdr::bench
