// What only real threads, on a real file, can show. Two repositories on one file stand for two servers.
#include <barrier>
#include <latch>
#include <set>
#include <thread>

#include "ktrdr/storage/sqlite_repository.h"
#include "ktrdr/storage/testing/operations_repository_fixture.h"
#include "sqlite_database.h"

namespace ktrdr::storage {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using testing::checkpoint;
using testing::completion;
using testing::new_operation;
using testing::value_of;

class SqliteConcurrency : public testing::RepositoryTest {
 protected:
  std::unique_ptr<OperationsRepository> open() {
    return value_of(open_sqlite_repository(folder_ / "ktrdr.db", clock_));
  }
  OperationsRepository& store() override { return *store_; }

  std::unique_ptr<OperationsRepository> store_ = open();
  std::unique_ptr<OperationsRepository> other_ = open();  // as a second server would

  OperationsRepository& server(int number) { return number % 2 == 0 ? *store_ : *other_; }
};

TEST_F(SqliteConcurrency, OfManyResumesAtOnceExactlyOneWinsInEveryRound) {
  constexpr int kThreads = 32, kRounds = 200;
  const OperationId id = failed();
  std::atomic<int> winners = 0, refused_as_running = 0, rounds_with_one_winner = 0;
  const auto end_round = [&]() noexcept {
    const Fence fence{get(id).attempt, {"worker-1"}};
    EXPECT_THAT(store().claim(id, fence, ""), IsOk());
    EXPECT_THAT(store().fail(id, fence, "again"), IsOk());
    rounds_with_one_winner += winners == 1 && refused_as_running == kThreads - 1 ? 1 : 0;
    winners = refused_as_running = 0;
  };
  std::barrier round(kThreads, end_round);
  std::vector<std::jthread> threads;
  for (int number = 0; number < kThreads; ++number) {
    threads.emplace_back([&, number] {
      for (int i = 0; i < kRounds; ++i) {
        const Result<Resumed> resumed = server(number).try_resume(id, false, {}, std::nullopt);
        if (resumed.ok()) ++winners;
        else if (resumed.error().code == ErrorCode::kConflict) ++refused_as_running;
        round.arrive_and_wait();
      }
    });
  }
  threads.clear();  // joins
  EXPECT_EQ(rounds_with_one_winner, kRounds);
  EXPECT_EQ(get(id).attempt, 1 + kRounds);
}

TEST_F(SqliteConcurrency, OfManyWorkersExactlyOneClaims) {
  constexpr int kWorkers = 8;
  for (int round = 0; round < 20; ++round) {
    const OperationId id = create("op_" + std::to_string(round));
    std::atomic<int> claimed = 0;
    std::latch start(kWorkers);
    std::vector<std::jthread> threads;
    for (int number = 0; number < kWorkers; ++number) {
      threads.emplace_back([&, number] {
        start.arrive_and_wait();
        claimed += server(number).claim(id, {1, {"worker-" + std::to_string(number)}}, "").ok() ? 1 : 0;
      });
    }
    threads.clear();
    EXPECT_EQ(claimed, 1);
    EXPECT_EQ(get(id).version, 2);
  }
}

TEST_F(SqliteConcurrency, OneKeySentToTwoServersAtOnceCreatesOneOperation) {
  constexpr int kRequests = 8;
  for (int round = 0; round < 20; ++round) {
    const IdempotencyKey key{"key-" + std::to_string(round), "hash"};
    std::latch start(kRequests);
    Synchronized<std::set<std::string>> answers;
    std::vector<std::jthread> threads;
    for (int number = 0; number < kRequests; ++number) {
      threads.emplace_back([&, number] {
        start.arrive_and_wait();
        const std::string id = "op_" + std::to_string(round) + "_" + std::to_string(number);
        const Created created = value_of(server(number).create(new_operation(id), key));
        answers.lock()->insert(created.operation.operation_id);
      });
    }
    threads.clear();
    EXPECT_EQ(answers.lock()->size(), 1u);
    EXPECT_EQ(value_of(store().list({})).total_count, round + 1);
  }
}

TEST_F(SqliteConcurrency, OfACancelAndACompleteAtOnceTheRowTellsOneStory) {
  for (int round = 0; round < 30; ++round) {
    const OperationId id = create("op_" + std::to_string(round));
    const Fence fence = start(id);
    std::latch both(2);
    std::optional<Result<api::Operation>> cancelled;
    std::optional<Result<Completed>> completed;
    {
      const std::jthread client([&] {
        both.arrive_and_wait();
        cancelled = other_->request_cancel(id, "x", {});
      });
      both.arrive_and_wait();
      completed = store_->complete(id, completion(fence));
    }
    EXPECT_THAT(*completed, IsOk());  // a request alone never stops a complete
    EXPECT_EQ(get(id).status, api::OperationStatus::kCompleted);
    if (!cancelled->ok()) {
      EXPECT_THAT(*cancelled, FailsWith(ErrorCode::kConflict));
    }
    EXPECT_EQ(get(id).cancel_requested, cancelled->ok());
  }
}

TEST_F(SqliteConcurrency, AReaderNeverSeesHalfOfACommit) {
  const OperationId id = create();
  const Fence fence = start(id);
  std::jthread reader([&](std::stop_token stop) {
    while (!stop.stop_requested()) {
      const api::TrainingJob job = value_of(other_->job(id));
      ASSERT_EQ(job.checkpoints.size(), 2u);
      ASSERT_EQ(job.checkpoints[0].parent, job.checkpoints[1].ref);
    }
  });
  for (std::int64_t sequence = 2; sequence < 100; ++sequence) {
    commit(id, fence, checkpoint({1, sequence}, CheckpointRef{1, sequence - 1}, sequence));
  }
}

// ---- group commit ----

class GroupCommit : public ::testing::Test {
 protected:
  std::unique_ptr<SqliteDatabase> open(const SqliteOptions& options = {}) {
    return value_of(SqliteDatabase::open(folder_ / "ktrdr.db", clock_, options));
  }

  static Result<void> insert(Session& session, int number) {
    TRY(session.execute("INSERT INTO idempotency_keys VALUES ($1, '', '', '', '', '')",
                        {"key-" + std::to_string(number)}));
    return {};
  }

  static std::int64_t count(SqliteDatabase& database) {
    return value_of(read_job<std::int64_t>(database, [](Session& session) -> Result<std::int64_t> {
      TRY_ASSIGN(const Rows rows, session.execute("SELECT COUNT(*) FROM idempotency_keys", {}));
      return RowReader(rows.front()).integer();
    }));
  }

  static void wait_until_waiting(SqliteDatabase& database, std::size_t jobs) {
    while (database.statistics().waiting < jobs) std::this_thread::yield();
  }

  // Holds the writer inside a first job until `release` is counted down.
  static std::jthread hold(SqliteDatabase& database, std::latch& held, std::latch& release) {
    return std::jthread([&database, &held, &release] {
      EXPECT_THAT(database.write([&](Session&) -> Result<void> {
        held.count_down();
        release.wait();
        return {};
      }),
                  IsOk());
    });
  }

  ktrdr::testing::TemporaryFolder folder_;
  ktrdr::testing::ManualClock clock_;
};

TEST_F(GroupCommit, JobsThatWaitTogetherAreCommittedTogetherAndARefusedOneAlone) {
  const auto database = open();
  constexpr int kJobs = 50;
  std::latch held(1), release(1);
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> threads;
    threads.push_back(hold(*database, held, release));
    held.wait();
    for (int number = 0; number < kJobs; ++number) {
      threads.emplace_back([&, number] {
        const Result<void> written = database->write([number](Session& session) -> Result<void> {
          TRY(insert(session, number));
          if (number % 10 == 0) return Error(ErrorCode::kConflict, "refused after it wrote");
          return {};
        });
        refused += written.ok() ? 0 : 1;
      });
    }
    wait_until_waiting(*database, kJobs);
    release.count_down();
  }
  EXPECT_EQ(refused, 5);
  EXPECT_EQ(count(*database), kJobs - 5);
  EXPECT_EQ(database->statistics().jobs, kJobs + 1);
  EXPECT_EQ(database->statistics().transactions, 2);  // the one that was held, and one for all the others
}

TEST_F(GroupCommit, ABatchHasABound) {
  const auto database = open({.jobs_per_commit = 10});
  std::latch held(1), release(1);
  {
    std::vector<std::jthread> threads;
    threads.push_back(hold(*database, held, release));
    held.wait();
    for (int number = 0; number < 25; ++number) {
      threads.emplace_back([&, number] {
        EXPECT_THAT(database->write([number](Session& session) { return insert(session, number); }), IsOk());
      });
    }
    wait_until_waiting(*database, 25);
    release.count_down();
  }
  EXPECT_EQ(database->statistics().transactions, 1 + 3);
}

TEST_F(GroupCommit, AFullQueueRefusesInsteadOfGrowing) {
  const auto database = open({.queue_bound = 1, .longest_wait = Duration(1)});
  std::latch held(1), release(1);
  const std::jthread holder = hold(*database, held, release);
  held.wait();
  const std::jthread waiter(
      [&] { EXPECT_THAT(database->write([](Session& session) { return insert(session, 1); }), IsOk()); });
  wait_until_waiting(*database, 1);
  EXPECT_THAT(database->write([](Session& session) { return insert(session, 2); }),
              FailsWith(ErrorCode::kUnavailable));
  release.count_down();
}

TEST_F(GroupCommit, AReadWhileAWriteIsHeldIsAnsweredAtOnce) {
  const auto database = open();
  std::latch held(1), release(1);
  const std::jthread holder = hold(*database, held, release);
  held.wait();
  EXPECT_EQ(count(*database), 0);
  release.count_down();
}

TEST_F(GroupCommit, AReaderCanNotWrite) {
  const auto database = open();
  EXPECT_FALSE(database->read([](Session& session) { return insert(session, 1); }).ok());
  EXPECT_EQ(count(*database), 0);
}

}  // namespace
}  // namespace ktrdr::storage
