// A server that crashes, stops and comes back, and one that is not to be trusted.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <map>
#include <thread>

#include "ktrdr/core/synchronized.h"
#include "ktrdr/storage/testing/operations_repository_fixture.h"
#include "postgres_database.h"
#include "postgres_fixture.h"
#include "sql_operations_repository.h"

namespace ktrdr::storage {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;
using testing::checkpoint;
using testing::new_operation;
using testing::PostgresCluster;
using testing::value_of;

class PostgresOutage : public ::testing::Test {
 protected:
  std::unique_ptr<OperationsRepository> open(const PostgresOptions& options = {}) {
    return std::make_unique<SqlOperationsRepository>(value_of(PostgresDatabase::open(uri_, clock_, options)),
                                                     clock_);
  }

  SystemClock clock_;
  PostgresCluster& cluster_ = PostgresCluster::shared();
  const std::string uri_ = testing::fresh_database();
};

// ---- SIGKILL under load ----

// What several threads were told: the last checkpoint of each operation.
using Acknowledged = std::map<std::string, std::int64_t>;

// One operation after the other, each with three checkpoints. After an error it goes on with the next one, as
// nobody knows whether that change was made.
class Load {
 public:
  explicit Load(OperationsRepository& store) {
    for (int thread = 0; thread < 8; ++thread) {
      threads_.emplace_back([this, &store, thread](std::stop_token stop) {
        for (int number = 0; !stop.stop_requested(); ++number)
          train(store, "op_" + std::to_string(thread) + "_" + std::to_string(number));
      });
    }
  }

  // Waits for this many more answers.
  void wait_for(int changes) {
    const int goal = changes_ + changes;
    while (changes_ < goal) std::this_thread::yield();
  }

  Acknowledged stop() {
    for (std::jthread& thread : threads_) thread.request_stop();
    threads_.clear();
    return *acknowledged_.lock();
  }

 private:
  void train(OperationsRepository& store, const std::string& id) {
    const Fence fence{1, {"worker-1"}};
    if (!store.create(new_operation(id), std::nullopt).ok() || !store.claim({id}, fence, "").ok()) return;
    std::optional<CheckpointRef> parent;
    for (std::int64_t sequence = 0; sequence < 3; ++sequence) {
      if (!store.commit_checkpoint({id}, fence, checkpoint({1, sequence}, parent, sequence)).ok()) return;
      parent = CheckpointRef{1, sequence};
      (*acknowledged_.lock())[id] = sequence;
      ++changes_;
    }
  }

  Synchronized<Acknowledged> acknowledged_;
  std::atomic<int> changes_ = 0;
  std::vector<std::jthread> threads_;
};

TEST_F(PostgresOutage, EveryAcknowledgedChangeIsThereAfterACrashAndTheStoreGoesOnByItself) {
  const auto store = open();
  Load load(*store);
  for (const int changes : {100, 20, 50, 1}) {
    load.wait_for(changes);
    cluster_.kill();
    cluster_.start();
  }
  load.wait_for(50);
  const Acknowledged acknowledged = load.stop();
  const auto reopened = open();
  ASSERT_GT(acknowledged.size(), 60u);
  for (const auto& [id, sequence] : acknowledged) {
    const Result<api::Operation> operation = reopened->get({id});
    ASSERT_THAT(operation, IsOk());
    ASSERT_TRUE(operation->checkpoint.has_value());
    EXPECT_GE(operation->checkpoint->ref.sequence, sequence);
  }
  const OperationPage page = value_of(reopened->list({.limit = 1000}));
  EXPECT_EQ(page.total_count, static_cast<std::int64_t>(page.operations.size()));  // the counters, too
}

// ---- away, and back ----

TEST_F(PostgresOutage, WhileItIsAwayEachCallFailsClearlyAndThenTheStoreGoesOnByItself) {
  const auto store = open({.patience = Duration(20)});
  ASSERT_THAT(store->create(new_operation("op_1"), std::nullopt), IsOk());
  ASSERT_THAT(store->get({"op_1"}), IsOk());
  cluster_.stop();
  for (int i = 0; i < 20; ++i) {  // more than there are connections
    EXPECT_THAT(store->create(new_operation("op_2"), std::nullopt), FailsWith(ErrorCode::kUnavailable));
    EXPECT_THAT(store->get({"op_1"}), SaysError("check that PostgreSQL runs"));
  }
  cluster_.start();
  EXPECT_THAT(store->get({"op_1"}), IsOk());
  EXPECT_THAT(store->get({"op_2"}), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(store->create(new_operation("op_2"), std::nullopt), IsOk());
}

TEST_F(PostgresOutage, ARestartThatIsShorterThanOurPatienceIsNotNoticed) {
  const auto store = open({.patience = Duration(60'000)});
  ASSERT_THAT(store->create(new_operation("op_1"), std::nullopt), IsOk());
  cluster_.stop();
  std::optional<Result<api::Operation>> read;
  std::optional<Result<Created>> written;
  {
    const std::jthread reader([&] { read = store->get({"op_1"}); });
    const std::jthread writer([&] { written = store->create(new_operation("op_2"), std::nullopt); });
    cluster_.start();
  }
  EXPECT_THAT(*read, IsOk());
  EXPECT_THAT(*written, IsOk());
}

TEST_F(PostgresOutage, AServerThatIsAwayAtTheStartIsAnErrorThatSaysWhatToDo) {
  cluster_.stop();
  const auto store = open_postgres_repository(uri_, clock_);
  EXPECT_THAT(store, FailsWith(ErrorCode::kUnavailable));
  EXPECT_THAT(store, SaysError("check that PostgreSQL runs there"));
  cluster_.start();
  EXPECT_THAT(open_postgres_repository(uri_, clock_), IsOk());
}

// ---- the test's own server ----

TEST(PostgresClusterOfATest, EndsWhenTheProgramThatStartedItIsKilled) {
  const ktrdr::testing::TemporaryFolder folder;  // the killed program leaves its own behind
  std::filesystem::permissions(folder.path(), std::filesystem::perms::others_exec,
                               std::filesystem::perm_options::add);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t program = fork();
  if (program == 0) {
    setenv("TMPDIR", folder.path().c_str(), 1);
    const PostgresCluster cluster;
    const pid_t server = cluster.pid();
    if (write(ends[1], &server, sizeof server) == sizeof server) pause();
    _exit(1);
  }
  pid_t server = -1;
  ASSERT_EQ(read(ends[0], &server, sizeof server), static_cast<ssize_t>(sizeof server));
  ASSERT_EQ(kill(server, 0), 0);
  kill(program, SIGKILL);
  EXPECT_EQ(waitpid(program, nullptr, 0), program);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (kill(server, 0) == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_NE(kill(server, 0), 0);
  close(ends[0]);
  close(ends[1]);
}

// ---- not to be trusted ----

TEST_F(PostgresOutage, AServerThatMayLoseWhatItAcknowledgedIsRefusedAlsoWhenItIsRestartedSo) {
  const auto store = open({.patience = Duration(20)});
  for (const char* setting : {"fsync=off", "full_page_writes=off"}) {
    cluster_.stop();
    cluster_.start({setting});
    EXPECT_THAT(open_postgres_repository(uri_, clock_), FailsWith(ErrorCode::kUnsupported));
    EXPECT_THAT(open_postgres_repository(uri_, clock_),
                SaysError("set fsync = on and full_page_writes = on"));
    EXPECT_THAT(store->create(new_operation("op_1"), std::nullopt), FailsWith(ErrorCode::kUnsupported));
  }
  cluster_.stop();
  cluster_.start();
  EXPECT_THAT(store->create(new_operation("op_1"), std::nullopt), IsOk());
}

}  // namespace
}  // namespace ktrdr::storage
