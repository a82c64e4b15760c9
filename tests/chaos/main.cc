// ./dev chaos: a whole installation under every disturbance that we know how to make, and what must hold all
// the same. See docs/testing.md.
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "audit.h"
#include "ktrdr/checkpoints/file_checkpoint_store.h"
#include "mount_namespace.h"
#include "mutant.h"
#include "nemesis.h"
#include "network_namespace.h"
#include "person.h"
#include "postman.h"

namespace ktrdr::chaos {
namespace {

using api::OperationStatus;
using system_test::eventually;

constexpr std::size_t kPeople = 3;
constexpr Duration kShortestRound = std::chrono::seconds(15), kRound = std::chrono::seconds(45);
constexpr Duration kRevivedWithin = std::chrono::seconds(60);
constexpr Duration kAllDoneWithin = std::chrono::seconds(120);
constexpr Duration kRoundOfAMutant = std::chrono::seconds(8);
constexpr int kRoundsOfAMutant = 5;

struct Options {
  double minutes = 3;
  std::uint64_t seed = 1;
  Score::AtLeast at_least;
  ClusterOptions cluster{.max_restarts = 3};
};

// What must change of an operation that isn't stuck. A sign of life alone is none.
struct Standing {
  OperationStatus status = OperationStatus::kPending;
  Attempt attempt = 0;
  api::Phase phase = api::Phase::kNone;
  std::int64_t step = 0;
  bool operator==(const Standing&) const = default;
};

class Run {
 public:
  Run(const Options& options, const std::vector<Recipe>& recipes, Score& score);

  void round(Duration rage_for);
  // The same without the patience until all has completed: with a mistake some never may.
  void short_round(Duration rage_for);

 private:
  World world() const;
  std::optional<api::Operation> operation(const OperationId& id);
  std::optional<bool> has_a_free_worker();
  bool everybody_found_a_server();
  bool has_moved(const OperationId& id, const Standing& before);
  void expect_that_all_move();
  void expect_that_all_complete();
  void be_busy(bool busy);
  void rage_and_revive(Duration rage_for);
  void count_what_was_refused();
  bool tended(const std::function<bool()>& condition, Duration within);

  const std::vector<Recipe>& recipes_;
  Score& score_;
  Cluster cluster_;
  Book book_;
  std::unique_ptr<checkpoints::FileCheckpointStore> checkpoints_;
  Nemesis nemesis_;
  std::unique_ptr<WayIn> way_in_;
  std::vector<std::unique_ptr<Person>> people_;
  std::unique_ptr<Postman> postman_;
  std::int64_t refused_before_ = 0, refused_by_hand_before_ = 0;
};

std::unique_ptr<checkpoints::FileCheckpointStore> open_store(const std::filesystem::path& folder) {
  auto store = checkpoints::FileCheckpointStore::open(folder);
  CHECK(store.ok(), "tests can write their own folder");
  return std::make_unique<checkpoints::FileCheckpointStore>(std::move(*store));
}

Run::Run(const Options& options, const std::vector<Recipe>& recipes, Score& score)
    : recipes_(recipes),
      score_(score),
      cluster_(score, options.cluster),
      checkpoints_(open_store(cluster_.checkpoints())),
      nemesis_(cluster_, score, options.seed) {
  std::fprintf(stderr, "chaos: logs in %s; the server restarts by itself: %s\n", cluster_.folder().c_str(),
               cluster_.restarts_by_itself() ? "yes" : "no");
  CHECK(nemesis_.calm(kRevivedWithin), "everything starts");
  install_audit(cluster_.database(), Cluster::kDatabase);
  way_in_ = std::make_unique<WayIn>(world().urls, cluster_.token());
  for (std::size_t i = 0; i < kServers; ++i) way_in_->ask(i, {"GET", "/health", "", {}});
  for (std::size_t i = 0; i < kPeople; ++i) {
    people_.push_back(std::make_unique<Person>(world(), std::string(1, static_cast<char>('a' + i)),
                                               options.seed * 1000 + i));
  }
  postman_ = std::make_unique<Postman>(world(), options.seed * 1000 + kPeople);
}

World Run::world() const {
  auto& cluster = const_cast<Cluster&>(cluster_);
  return {.recipes = recipes_,
          .checkpoints = *checkpoints_,
          .urls = {cluster.people_link(0).url(), cluster.people_link(1).url()},
          .token = cluster.token(),
          .market = cluster.market(),
          .score = score_,
          .book = const_cast<Book&>(book_)};
}

bool Run::tended(const std::function<bool()>& condition, Duration within) {
  return eventually(
      [&] {
        cluster_.tend();
        return condition();
      },
      within);
}

void Run::be_busy(bool busy) {
  for (auto& person : people_) person->set_busy(busy);
}

void Run::round(Duration rage_for) {
  rage_and_revive(rage_for);
  expect_that_all_move();
  expect_that_all_complete();
  count_audit(cluster_.database(), Cluster::kDatabase, score_);
  count_what_was_refused();
}

void Run::short_round(Duration rage_for) {
  rage_and_revive(rage_for);
  expect_that_all_move();
  count_audit(cluster_.database(), Cluster::kDatabase, score_);
}

void Run::rage_and_revive(Duration rage_for) {
  be_busy(true);
  nemesis_.rage(rage_for);
  be_busy(false);
  const bool revived =
      nemesis_.calm(kRevivedWithin) && tended([&] { return everybody_found_a_server(); }, kRevivedWithin);
  if (!revived) score_.wrong(Count::kStrangeAnswers, "not everything came back when the faults had stopped");
}

void Run::count_what_was_refused() {
  std::int64_t refused = 0;
  for (std::size_t worker = 0; worker < kWorkers; ++worker) {
    for (std::size_t server = 0; server < kServers; ++server)
      refused += cluster_.worker_link(worker, server).counted();
  }
  const std::int64_t of_workers = refused - std::exchange(refused_before_, refused);
  const std::int64_t by_hand_so_far = score_.of(Count::kStaleWritesRefusedByHand);
  const std::int64_t by_hand = by_hand_so_far - std::exchange(refused_by_hand_before_, by_hand_so_far);
  score_.add(Count::kStaleWritesRefusedOfWorkers, of_workers);
  if (of_workers + by_hand == 0)
    score_.wrong(Count::kRoundsThatProveNothing, "no write of a superseded attempt was refused");
}

// ---- when the faults have stopped ----

std::optional<api::Operation> Run::operation(const OperationId& id) {
  const auto reply = way_in_->ask(0, {"GET", "/operations/" + id.value, "", {}});
  if (!reply || !reply->accepted()) return std::nullopt;
  auto answer = api::from_json<api::OperationResponse>(reply->body.dump());
  return answer.ok() ? std::optional(std::move(answer->data)) : std::nullopt;
}

// The processes of now, not those that were killed.
bool Run::everybody_found_a_server() {
  std::set<std::int64_t> pids;
  for (std::size_t i = 0; i < kServers; ++i) {
    const auto reply = way_in_->ask(i, {"GET", "/workers", "", {}});
    if (!reply || !reply->accepted()) return false;
    for (const auto& worker : reply->body) pids.insert(worker.at("capabilities").value("pid", 0));
  }
  for (std::size_t i = 0; i < kWorkers; ++i) {
    if (!pids.contains(cluster_.worker(i).pid())) return false;
  }
  return true;
}

std::optional<bool> Run::has_a_free_worker() {
  bool free = false;
  for (std::size_t i = 0; i < kServers; ++i) {
    const auto reply = way_in_->ask(i, {"GET", "/workers", "", {}});
    if (!reply || !reply->accepted()) return std::nullopt;
    for (const auto& worker : reply->body) free = free || worker.value("status", "") == "available";
  }
  return free;
}

Standing standing_of(const api::Operation& operation) {
  return {operation.status, operation.attempt, operation.phase, operation.progress.context.global_step};
}

bool Run::has_moved(const OperationId& id, const Standing& before) {
  const auto now = operation(id);
  if (!now) return false;
  if (now->status == OperationStatus::kCompleted || standing_of(*now) != before) return true;
  // It may wait for its turn as long as every worker has work.
  return now->phase == api::Phase::kQueued && has_a_free_worker() == false;
}

void Run::expect_that_all_move() {
  std::map<OperationId, Standing> waiting_for;
  for (const OperationId& id : book_.open_ones()) {
    if (const auto now = operation(id)) waiting_for[id] = standing_of(*now);
    else score_.wrong(Count::kOperationsStuck, id.value + " can't be read");
  }
  const auto nobody = [&] {
    std::erase_if(waiting_for, [&](const auto& entry) { return has_moved(entry.first, entry.second); });
    return waiting_for.empty();
  };
  if (tended(nobody, 2 * kLease)) return;
  for (const auto& [id, before] : waiting_for) {
    score_.wrong(Count::kOperationsStuck, id.value + " is " + std::string(to_string(before.status)) + ", " +
                                              std::string(to_string(before.phase)) + " at step " +
                                              std::to_string(before.step) + " for two leases");
  }
}

void Run::expect_that_all_complete() {
  if (tended([&] { return book_.open_ones().empty(); }, kAllDoneWithin)) return;
  for (const OperationId& id : book_.open_ones()) {
    const auto now = operation(id);
    score_.wrong(Count::kOperationsStuck,
                 id.value + " did not complete: " + (now ? api::to_json(*now) : "can't be read"));
  }
}

int run(const Options& options) {
  const SystemClock clock;
  Score score;
  std::fprintf(stderr, "chaos: seed %llu, %.1f minutes\n", static_cast<unsigned long long>(options.seed),
               options.minutes);
  const std::vector<Recipe> recipes = trained_recipes();
  const Duration length(static_cast<Duration::rep>(options.minutes * 60'000));
  const Duration end = clock.monotonic() + length;
  {
    Run run(options, recipes, score);
    // A slow machine gets as much time again to strike as often as was asked for.
    const auto enough = [&] {
      return score.kills() >= options.at_least.kills && score.freezes() >= options.at_least.freezes;
    };
    do {
      run.round(std::clamp(end - clock.monotonic(), kShortestRound, kRound));
      std::fprintf(stderr, "chaos: %lld kills, %lld freezes, %lld completed\n",
                   static_cast<long long>(score.kills()), static_cast<long long>(score.freezes()),
                   static_cast<long long>(score.of(Count::kOperationsCompleted)));
    } while (clock.monotonic() < end || (!enough() && clock.monotonic() < end + length));
  }
  if (::testing::UnitTest::GetInstance()->ad_hoc_test_result().Failed())
    score.wrong(Count::kStrangeAnswers, "answers differ from the OpenAPI document; see above");
  return score.print(options.at_least) ? 0 : 1;
}

bool is_found(const Mutant& mutant, const Options& options, const std::vector<Recipe>& recipes) {
  Score score;
  Options with_mistake = options;
  with_mistake.cluster.sql_edits = mutant.edits;
  Run run(with_mistake, recipes, score);
  for (int i = 0; i < kRoundsOfAMutant && score.of(mutant.goes_wrong) == 0; ++i)
    run.short_round(kRoundOfAMutant);
  const std::int64_t count = score.of(mutant.goes_wrong);
  std::printf("| %-45s | %-68s | %6lld | %-8s |\n", mutant.name, name_of(mutant.goes_wrong),
              static_cast<long long>(count), count > 0 ? "found" : "SURVIVED");
  std::fflush(stdout);
  return count > 0;
}

// Each mistake must make its own count wrong. What else it does to the answers is not worth a line.
int run_mutants(const Options& options) {
  auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  const std::vector<Recipe> recipes = trained_recipes();
  bool all_found = true;
  for (const Mutant& mutant : mutants()) all_found = is_found(mutant, options, recipes) && all_found;
  return all_found ? 0 : 1;
}

}  // namespace
}  // namespace ktrdr::chaos

int main(int argc, char** argv) {
  const auto no_mounts = ktrdr::chaos::enter_own_mount_namespace();  // both before any thread
  const auto no_partitions = ktrdr::chaos::enter_own_network_namespace();
  CLI::App app(
      "Kills, freezes, cuts off and confuses a whole installation, and checks that nothing is lost.");
  ktrdr::chaos::Options options;
  app.add_option("--minutes", options.minutes, "How long, without the undisturbed trainings at the start")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Decides every fault; the same seed is the same plan")
      ->capture_default_str();
  app.add_option("--kills", options.at_least.kills, "Fewer SIGKILLs than this are a failure")
      ->capture_default_str();
  app.add_option("--freezes", options.at_least.freezes, "Fewer SIGSTOPs than this are a failure")
      ->capture_default_str();
  app.add_option("--max-restarts", options.cluster.max_restarts,
                 "Handed to the servers when they know it; 0: people resume everything")
      ->capture_default_str();
  bool with_mutants = false;
  app.add_flag("--mutants", with_mutants,
               "Instead: makes the product's mistakes one at a time, and fails when one is not found");
  CLI11_PARSE(app, argc, argv);
  options.cluster.no_mounts = no_mounts;
  options.cluster.no_partitions = no_partitions;
  return with_mutants ? ktrdr::chaos::run_mutants(options) : ktrdr::chaos::run(options);
}
