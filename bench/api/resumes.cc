// Many clients resume at once: of each attempt exactly one may win, and what was accepted must be in the row.
#include <map>
#include <memory>
#include <numeric>
#include <random>

#include "benches.h"
#include "kept_clients.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/storage/postgres_repository.h"
#include "ktrdr/storage/sqlite_repository.h"
#include "programs.h"
#include "rows.h"

namespace ktrdr::bench {
namespace {

constexpr std::size_t kClients = 64;
constexpr int kRounds = 1000, kWarmUpRounds = 20;
constexpr int kOperations = 10'000;
constexpr int kAskedTwice = 5;  // every fifth is
const OperationId kRaced{"op_raced"};

// One store, behind one server or several, and our own way to it.
struct Stage {
  std::string name;
  storage::OperationsRepository& store;
  std::vector<int> ports;
};

std::string resume_request(const std::string& id) {
  return post_request("/api/v1/operations/" + id + "/resume");
}

bool exactly_one_wins(KeptClients& clients) {
  static const std::string request = resume_request(kRaced.value);
  std::map<int, int> answers;
  std::vector<bool> asked(kClients);
  clients.run(
      [&](std::size_t client) {
        if (asked[client]) return std::optional<std::string>();
        asked[client] = true;
        return std::optional(request);
      },
      [&](std::size_t, const Answer& answer) { ++answers[answer.status]; });
  return answers == std::map<int, int>{{200, 1}, {409, kClients - 1}};
}

// The attempt counts every resume that was accepted, also one whose answer nobody saw.
void race(Figures& figures, const Stage& stage) {
  const auto begin = Stopwatch::now();
  KeptClients clients(stage.ports, kClients);
  int held = 0;
  for (int round = -kWarmUpRounds; round < kRounds; ++round) {
    const bool is_good = exactly_one_wins(clients);
    held += is_good && round >= 0 ? 1 : 0;
    const Attempt attempt = 1 + kWarmUpRounds + round + 1;
    const auto failed = stage.store.fail_unclaimed(kRaced, attempt, "the next round");
    if (!failed.ok()) return figures.broken("after a round the attempt is not " + std::to_string(attempt));
  }
  figures.always("resume_race_" + stage.name + "_rounds_with_one_winner", held, kRounds);
  std::fprintf(stderr, "  %s: %d rounds of %zu clients in %.1f s\n", stage.name.c_str(),
               kRounds + kWarmUpRounds, kClients, seconds_since(begin));
}

std::size_t requests_for(int operation) { return operation % kAskedTwice == 0 ? 2U : 1U; }

// In an order that brings the requests for one of them far apart or together.
std::vector<int> shuffled_requests() {
  std::vector<int> numbers;
  for (int i = 1; i <= kOperations; ++i) numbers.insert(numbers.end(), requests_for(i), i);
  std::shuffle(numbers.begin(), numbers.end(), std::mt19937(7));
  return numbers;
}

// How many of them stand in the store exactly as one accepted resume leaves them.
int resumed_once(storage::OperationsRepository& store) {
  int count = 0;
  storage::ListQuery query{.status = api::OperationStatus::kRunning, .limit = 1000};
  do {
    const auto page = store.list(query);
    CHECK(page.ok(), "the store can be listed");
    for (const api::Operation& operation : page->operations) count += operation.attempt == 2 ? 1 : 0;
    query.after = page->next;
  } while (query.after);
  return count;
}

void storm(Figures& figures, const Stage& stage) {
  const auto begin = Stopwatch::now();
  const std::vector<int> requests = shuffled_requests();
  std::size_t sent = 0;
  std::vector<int> asked_for(kClients);
  std::vector<std::size_t> accepted(kOperations + 1), refused(kOperations + 1);
  KeptClients clients(stage.ports, kClients);
  clients.run(
      [&](std::size_t client) {
        if (sent == requests.size()) return std::optional<std::string>();
        asked_for[client] = requests[sent++];
        return std::optional(resume_request(copy_id(asked_for[client])));
      },
      [&](std::size_t client, const Answer& answer) {
        const auto number = static_cast<std::size_t>(asked_for[client]);
        accepted[number] += answer.status == 200 ? 1U : 0U;
        refused[number] += answer.status == 409 ? 1U : 0U;
      });
  const double seconds = seconds_since(begin);
  int once = 0;
  for (int i = 1; i <= kOperations; ++i) {
    const auto number = static_cast<std::size_t>(i);
    once += accepted[number] == 1 && refused[number] + 1 == requests_for(i) ? 1 : 0;
  }
  figures.always("resume_storm_" + stage.name + "_accepted_once", once, kOperations);
  figures.always("resume_storm_" + stage.name + "_in_the_store_once", resumed_once(stage.store), kOperations);
  std::fprintf(stderr, "  %s: %zu requests for %d operations in %.1f s\n", stage.name.c_str(),
               requests.size(), kOperations, seconds);
}

}  // namespace

void resumes_on_sqlite(Figures& figures) {
  const testing::TemporaryFolder folder;
  const OurServer server("", folder / "data");
  SystemClock clock;
  const auto store = storage::open_sqlite_repository(OurServer::database_file(folder / "data"), clock);
  CHECK(store.ok(), "a second program may open the file");
  add_failed(**store, kRaced.value);
  run_in_sqlite(OurServer::database_file(folder / "data"), failed_copies(kRaced.value, kOperations));
  const Stage stage{"sqlite", **store, {server.port()}};
  race(figures, stage);
  storm(figures, stage);
}

void resumes_on_postgres(Figures& figures, storage::testing::PostgresCluster& cluster) {
  cluster.create_database("resumes");
  const std::string uri = cluster.uri("resumes");
  const testing::TemporaryFolder folder;
  const OurServer one(uri, folder / "one"), two(uri, folder / "two");
  SystemClock clock;
  const auto store = storage::open_postgres_repository(uri, clock);
  CHECK(store.ok(), "a third program may use the database");
  add_failed(**store, kRaced.value);
  fill_postgres(cluster, "resumes", failed_copies(kRaced.value, kOperations));
  const Stage stage{"postgres", **store, {one.port(), two.port()}};
  race(figures, stage);
  storm(figures, stage);
}

}  // namespace ktrdr::bench
