// How SQLite's one writer commits together what waits together.
#include <latch>
#include <thread>

#include "ktrdr/storage/testing/operations_repository_fixture.h"
#include "sqlite_database.h"

namespace ktrdr::storage {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using testing::value_of;

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
