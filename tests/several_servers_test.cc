// Two servers, two workers, one PostgreSQL: whoever dies, the model is that of an undisturbed run on one
// server with SQLite.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "ktrdr/client/testing/stream_reader.h"
#include "ktrdr/storage/testing/postgres_cluster.h"
#include "support/fault_proxy.h"
#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;
using client::testing::StreamReader;
using storage::testing::PostgresCluster;
using ::testing::HasSubstr;

constexpr int kEpochs = 40;
TrainingWish wish() { return {.strategy_yaml = demanding_strategy(kEpochs)}; }

const Fingerprint& undisturbed() {
  static const Reference reference = train_undisturbed(wish());
  return reference.fingerprint;
}

class SeveralServers : public ::testing::Test {
 protected:
  SeveralServers() { cluster_.create_database("operations"); }

  std::vector<std::string> shared_folders() const {
    return {"--checkpoints", folder_ / "checkpoints", "--models", folder_ / "models"};
  }

  SystemOptions options(int local_workers) {
    SystemOptions options{.local_workers = local_workers, .serve_options = shared_folders()};
    options.serve_options.insert(options.serve_options.end(), {"--database", cluster_.uri("operations")});
    return options;
  }

  // One whose local worker turns to `peer` when it is away.
  SystemOptions options_with_a_peer(TestSystem& peer) {
    SystemOptions with_a_peer = options(1);
    with_a_peer.serve_options.insert(with_a_peer.serve_options.end(), {"--peer", peer.url()});
    with_a_peer.token = peer.token();
    return with_a_peer;
  }

  void expect_the_undisturbed_model(TestSystem& system, const OperationId& id) {
    ASSERT_EQ(system.wait_for_status(id, OperationStatus::kCompleted).status, OperationStatus::kCompleted);
    EXPECT_EQ(fingerprint_of(system, id), undisturbed());
  }

  PostgresCluster cluster_;
  testing::TemporaryFolder folder_;
};

TEST_F(SeveralServers, WorkStartedAtOneIsDoneByTheOthersWorker) {
  TestSystem without_workers(options(0)), with_a_worker(options(1));
  const OperationId id = without_workers.start_training(wish());
  expect_the_undisturbed_model(without_workers, id);
  EXPECT_EQ(with_a_worker.operation(id).version, without_workers.operation(id).version);
}

TEST_F(SeveralServers, CancelAndResumeGoThroughEitherServer) {
  TestSystem one(options(0)), other(options(1));
  const OperationId id = one.start_training(wish());
  other.wait_for_step(id, 20);
  const auto cancelled = one.api().cancel(id, {.reason = "enough"});
  ASSERT_TRUE(cancelled.ok()) << cancelled.error().describe();
  EXPECT_EQ(cancelled->data.status, OperationStatus::kCancelled)
      << "the parked answer, from a worker of another";
  one.resume(id);
  expect_the_undisturbed_model(other, id);
  EXPECT_EQ(other.operation(id).attempt, 2);
}

TEST_F(SeveralServers, AServerAndItsWorkerDieAndTheOtherGoesOn) {
  TestSystem survivor(options(0)), victim(options(1));
  const OperationId id = victim.start_training(wish());
  victim.wait_for_step(id, 20);
  const pid_t worker = victim.worker_pid(id);
  ASSERT_NE(worker, 0);
  victim.kill_server();  // first, so that it starts no other worker
  ASSERT_EQ(::kill(worker, SIGKILL), 0);
  const api::Operation failed = survivor.wait_for_status(id, OperationStatus::kFailed);
  EXPECT_THAT(failed.error_message.value_or(""), HasSubstr("fell silent"));
  survivor.start_worker("fresh", shared_folders());
  survivor.resume(id);
  expect_the_undisturbed_model(survivor, id);
}

TEST_F(SeveralServers, AServerDiesAloneAndItsWorkerTurnsToTheOther) {
  TestSystem other(options(0));
  TestSystem victim(options_with_a_peer(other));
  const OperationId id = victim.start_training(wish());
  victim.wait_for_step(id, 20);
  victim.kill_server();
  expect_the_undisturbed_model(other, id);
  EXPECT_EQ(other.operation(id).attempt, 1) << "its worker was never silent";
}

// Its connections are taken and nobody answers: a worker that waited for it as long as for a slow one would
// lose its lease.
TEST_F(SeveralServers, AServerThatHangsCostsNoWorkerItsLease) {
  constexpr int kLeaseSeconds = 2;
  SystemOptions short_lease = options(0);
  short_lease.lease_seconds = kLeaseSeconds;
  TestSystem other(short_lease);
  short_lease.token = other.token();
  TestSystem hanging(short_lease);
  FaultProxy way;
  way.forward_to(std::stoi(hanging.url().substr(hanging.url().rfind(':') + 1)));
  std::vector<std::string> worker = shared_folders();
  worker.insert(worker.end(), {"--url", way.url(), "--peer", other.url()});
  hanging.start_worker("worker", worker);
  const OperationId id = hanging.start_training({.strategy_yaml = demanding_strategy(5000)});
  hanging.wait_for_step(id, 20);
  way.set_mode(LinkMode::kBlackhole);
  const std::int64_t step = other.operation(id).progress.context.global_step;
  EXPECT_FALSE(eventually([&] { return other.operation(id).status != OperationStatus::kRunning; },
                          std::chrono::seconds(3 * kLeaseSeconds)));
  EXPECT_GT(other.operation(id).progress.context.global_step, step);
  EXPECT_EQ(other.operation(id).attempt, 1);
  EXPECT_TRUE(other.api().cancel(id, {}).ok());
}

// Whoever listens hears of everything, whichever server wrote it: in order, once, and with a reconnection
// from where the connection was lost.
TEST_F(SeveralServers, EventsReachWhoListensAtTheOtherServerOnceAndInOrderAlsoWhenTheFirstDies) {
  TestSystem survivor(options(0));
  TestSystem victim(options_with_a_peer(survivor));
  const std::string token = "Authorization: Bearer " + survivor.token() + "\r\n";
  const OperationId id = victim.start_training(wish());
  StreamReader there(survivor.url(), id, "", token), here(victim.url(), id, "", token);
  EXPECT_GE(there.events(3).size(), 3u) << there.received();
  victim.wait_for_step(id, 20);
  victim.kill_server();

  std::vector<std::string> seen = here.all();
  const std::string from = "Last-Event-ID: " + std::to_string(seen.size()) + "\r\n";
  StreamReader again(survivor.url(), id, "", token + from);
  expect_the_undisturbed_model(survivor, id);
  const std::vector<std::string> rest = again.all();
  EXPECT_GE(rest.size(), 2u) << "it was completed after the first server's death, if nothing else";
  seen.insert(seen.end(), rest.begin(), rest.end());

  const auto history = survivor.api().events(id, {.after = 0, .limit = 1000});
  ASSERT_TRUE(history.ok());
  std::vector<std::string> told;
  for (const api::OperationEvent& event : history->data.events)
    told.push_back(std::string(to_string(event.kind)) + " " + std::to_string(event.sequence));
  told.push_back("end");
  EXPECT_EQ(there.all(), told);
  EXPECT_EQ(seen, told);
}

// Frozen, it refuses nothing: whoever waits for it must notice by himself.
TEST_F(SeveralServers, AFrozenDatabaseNeitherKeepsAServerFromEndingNorFailsATraining) {
  TestSystem one(options(1));
  const OperationId id = one.start_training({.strategy_yaml = demanding_strategy(5000)});
  one.wait_for_step(id, 20);
  cluster_.freeze();
  EXPECT_TRUE(one.api().health().ok());
  EXPECT_FALSE(one.api().operation(id).ok());
  const auto stopped = one.stop_server(std::chrono::seconds(25));
  cluster_.thaw();
  EXPECT_EQ(stopped, 0);
  one.start_server();
  EXPECT_EQ(one.operation(id).attempt, 1);
  EXPECT_EQ(one.operation(id).status, OperationStatus::kRunning);
  EXPECT_TRUE(one.api().cancel(id, {}).ok());
}

TEST_F(SeveralServers, TheDatabaseDiesAndComesBackUnderARunningTraining) {
  TestSystem one(options(1)), other(options(0));
  const OperationId id = one.start_training(wish());
  one.wait_for_step(id, 20);
  cluster_.kill();
  EXPECT_FALSE(other.api().operation(id).ok());
  EXPECT_TRUE(other.api().health().ok()) << "the server itself goes on";
  cluster_.start();
  expect_the_undisturbed_model(other, id);
  EXPECT_EQ(other.operation(id).attempt, 1) << "nobody took the outage for a silent worker";
}

TEST_F(SeveralServers, OfManyResumesThroughBothServersOneWins) {
  TestSystem one(options(0)), other(options(1));
  const OperationId id = one.start_training({.strategy_yaml = demanding_strategy(5000)});
  for (int round = 0; round < 3; ++round) {
    other.wait_for_step(id, 1);
    ASSERT_TRUE(one.api().cancel(id, {}).ok());
    one.wait_for_status(id, OperationStatus::kCancelled);
    std::atomic<int> accepted = 0, refused = 0;
    {
      std::vector<std::jthread> clients;
      for (int i = 0; i < 16; ++i) {
        clients.emplace_back([&, i] {
          client::ApiClient api(
              {i % 2 == 0 ? one.url() : other.url(), i % 2 == 0 ? one.token() : other.token()});
          const auto answer = api.resume(id, {});
          if (answer.ok()) ++accepted;
          else if (answer.error().code == ErrorCode::kConflict) ++refused;
        });
      }
    }
    EXPECT_EQ(accepted, 1);
    EXPECT_EQ(refused, 15);
    EXPECT_EQ(one.operation(id).attempt, round + 2);
  }
}

TEST_F(SeveralServers, ADatabaseThatIsAwayAtTheStartIsAClearError) {
  TestSystem any({.local_workers = 0});
  cluster_.stop();
  const auto refused = any.ktrdr({"serve", "--data-dir", any.folder() / "other", "--port", "0",
                                  "--local-workers", "0", "--database", cluster_.uri("operations")});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_THAT(refused.err, HasSubstr("PostgreSQL"));
  cluster_.start();
}

TEST_F(SeveralServers, ADatabaseOfNoKnownKindIsRefusedWithoutRepeatingItsName) {
  TestSystem any({.local_workers = 0});
  const auto refused = any.ktrdr({"serve", "--data-dir", any.folder() / "other", "--port", "0",
                                  "--local-workers", "0", "--database", "mysql://me:secret@host/db"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("postgresql://"));
  EXPECT_THAT(refused.err, ::testing::Not(HasSubstr("secret")));
}

// The seed's cache-only mode: everything works, and nothing outlives the server.
TEST(CacheOnlyMode, TrainsCancelsAndResumesWithoutAStore) {
  TestSystem system({.serve_options = {"--database", "memory:"}});
  const OperationId id = system.start_training(wish());
  system.wait_for_step(id, 20);
  ASSERT_TRUE(system.api().cancel(id, {}).ok());
  system.resume(id);
  system.wait_for_status(id, OperationStatus::kCompleted);
  EXPECT_EQ(fingerprint_of(system, id), undisturbed());
  EXPECT_FALSE(std::filesystem::exists(system.data_dir() / "ktrdr.db"));
}

}  // namespace
}  // namespace ktrdr::system_test
