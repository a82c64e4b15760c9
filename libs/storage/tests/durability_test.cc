// Acknowledged is there: after SIGKILL at any moment, and never acknowledged when the disk refused.
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <latch>
#include <map>
#include <random>
#include <thread>

#include "ktrdr/core/durable_file.h"
#include "ktrdr/storage/sqlite_repository.h"
#include "ktrdr/storage/testing/operations_repository_fixture.h"
#include "sqlite_database.h"

namespace ktrdr::storage {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using testing::checkpoint;
using testing::new_operation;
using testing::value_of;

// ---- SIGKILL ----

// What the child says after each answer it got: operation `thread`-`number` exists and has checkpoint
// `sequence`. Smaller than PIPE_BUF, so that threads' messages don't mix.
struct Acknowledged {
  int thread = 0, number = 0;
  std::int64_t sequence = 0;
};

OperationId id_of(const Acknowledged& done) {
  return {"op_" + std::to_string(done.thread) + "_" + std::to_string(done.number)};
}

void say(int pipe, const Acknowledged& done) {
  if (write(pipe, &done, sizeof done) != sizeof done) _exit(3);
}

// One operation after the other, each with three checkpoints, until killed.
[[noreturn]] void train_for_ever(OperationsRepository& store, int thread, int pipe) {
  const Fence fence{1, {"worker-1"}};
  for (int number = 0;; ++number) {
    const OperationId id = id_of({thread, number});
    if (!store.create(new_operation(id.value), std::nullopt).ok() || !store.claim(id, fence, "").ok())
      _exit(4);
    std::optional<CheckpointRef> parent;
    for (std::int64_t sequence = 0; sequence < 3; ++sequence) {
      if (!store.commit_checkpoint(id, fence, checkpoint({1, sequence}, parent, sequence)).ok()) _exit(5);
      parent = CheckpointRef{1, sequence};
      say(pipe, {thread, number, sequence});
    }
  }
}

[[noreturn]] void run_child(const std::filesystem::path& file, int pipe) {
  SystemClock clock;
  auto store = open_sqlite_repository(file, clock);
  if (!store.ok()) _exit(2);
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] { train_for_ever(**store, thread, pipe); });
  }
  threads.clear();
  _exit(6);
}

class SigKill : public ::testing::Test {
 protected:
  // Kills the child after it acknowledged about `after` changes; answers with the last of each operation.
  std::map<std::string, std::int64_t> kill_after(int after) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) run_child(file_, ends[1]);
    close(ends[1]);
    std::map<std::string, std::int64_t> last;
    Acknowledged done;
    for (int count = 1; read(ends[0], &done, sizeof done) == sizeof done; ++count) {
      last[id_of(done).value] = done.sequence;
      if (count == after) kill(child, SIGKILL);  // what it says until it is dead counts too
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with " << WEXITSTATUS(status);
    close(ends[0]);
    return last;
  }

  ktrdr::testing::TemporaryFolder folder_;
  std::filesystem::path file_;
  SystemClock clock_;
};

TEST_F(SigKill, EveryAcknowledgedChangeIsThereAfterReopening) {
  std::mt19937 random(20261123);
  for (int round = 0; round < 10; ++round) {
    file_ = folder_ / (std::to_string(round) + ".db");
    const int after = std::uniform_int_distribution(1, 120)(random);
    const auto acknowledged = kill_after(after);
    const auto store = value_of(open_sqlite_repository(file_, clock_));
    for (const auto& [id, sequence] : acknowledged) {
      const Result<api::Operation> operation = store->get({id});
      ASSERT_THAT(operation, IsOk()) << "round " << round;
      ASSERT_TRUE(operation->checkpoint.has_value());
      EXPECT_GE(operation->checkpoint->ref.sequence, sequence);
    }
    const OperationPage page = value_of(store->list({.limit = 1000}));
    EXPECT_GE(page.total_count, static_cast<std::int64_t>(acknowledged.size()));
    EXPECT_EQ(page.total_count, static_cast<std::int64_t>(page.operations.size()));
  }
}

// ---- a disk that fails on command ----

// A layer over SQLite's own access to files, the default one while it lives. It counts and can refuse.
class FaultyDisk {
 public:
  FaultyDisk() : vfs_(*sqlite3_vfs_find(nullptr)) {
    real_ = sqlite3_vfs_find(nullptr);
    vfs_.zName = "faulty";
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
    vfs_.xOpen = [](sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
      return open(name, file, flags, out);
    };
    sqlite3_vfs_register(&vfs_, 1);
  }
  ~FaultyDisk() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(real_, 1);
    write_status = sync_status = SQLITE_OK;
  }

  static inline std::atomic<int> write_status = SQLITE_OK, sync_status = SQLITE_OK;

 private:
  struct File {
    sqlite3_io_methods const* methods;  // where SQLite expects it
    sqlite3_io_methods own;
    sqlite3_file* real;
  };
  static sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<File*>(file)->real; }

  static int open(const char* name, sqlite3_file* file, int flags, int* out) {
    auto* mine = reinterpret_cast<File*>(file);
    mine->methods = nullptr;
    mine->real = reinterpret_cast<sqlite3_file*>(mine + 1);
    const int status = real_->xOpen(real_, name, mine->real, flags, out);
    if (mine->real->pMethods == nullptr) return status;
    mine->own = forwarding(mine->real->pMethods->iVersion);
    mine->methods = &mine->own;
    return status;
  }

  static sqlite3_io_methods forwarding(int version) {
    sqlite3_io_methods m{};
    m.iVersion = std::min(version, 2);  // 2 has the shared memory of WAL; 3 would only map files
    m.xClose = [](sqlite3_file* f) { return real(f)->pMethods->xClose(real(f)); };
    m.xRead = [](sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
      return real(f)->pMethods->xRead(real(f), to, n, at);
    };
    m.xWrite = [](sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
      const int status = write_status;
      return status != SQLITE_OK ? status : real(f)->pMethods->xWrite(real(f), from, n, at);
    };
    m.xTruncate = [](sqlite3_file* f, sqlite3_int64 size) {
      return real(f)->pMethods->xTruncate(real(f), size);
    };
    m.xSync = [](sqlite3_file* f, int flags) {
      const int status = sync_status;
      return status != SQLITE_OK ? status : real(f)->pMethods->xSync(real(f), flags);
    };
    m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
      return real(f)->pMethods->xFileSize(real(f), size);
    };
    m.xLock = [](sqlite3_file* f, int lock) { return real(f)->pMethods->xLock(real(f), lock); };
    m.xUnlock = [](sqlite3_file* f, int lock) { return real(f)->pMethods->xUnlock(real(f), lock); };
    m.xCheckReservedLock = [](sqlite3_file* f, int* out) {
      return real(f)->pMethods->xCheckReservedLock(real(f), out);
    };
    m.xFileControl = [](sqlite3_file* f, int op, void* arg) {
      return real(f)->pMethods->xFileControl(real(f), op, arg);
    };
    m.xSectorSize = [](sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); };
    m.xDeviceCharacteristics = [](sqlite3_file* f) {
      return real(f)->pMethods->xDeviceCharacteristics(real(f));
    };
    m.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
      return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
    };
    m.xShmLock = [](sqlite3_file* f, int offset, int n, int flags) {
      return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
    };
    m.xShmBarrier = [](sqlite3_file* f) { real(f)->pMethods->xShmBarrier(real(f)); };
    m.xShmUnmap = [](sqlite3_file* f, int remove) { return real(f)->pMethods->xShmUnmap(real(f), remove); };
    return m;
  }

  static inline sqlite3_vfs* real_ = nullptr;
  sqlite3_vfs vfs_;
};

class FailingDisk : public testing::RepositoryTest {
 protected:
  OperationsRepository& store() override { return *store_; }
  void reopen() {
    store_.reset();
    store_ = value_of(open_sqlite_repository(file_, clock_));
  }

  FaultyDisk disk_;
  const std::filesystem::path file_ = folder_ / "ktrdr.db";
  std::unique_ptr<OperationsRepository> store_ = value_of(open_sqlite_repository(file_, clock_));
};

TEST_F(FailingDisk, AFullDiskRefusesChangesKeepsWhatIsThereAndWorksAgainWhenThereIsSpace) {
  const OperationId id = create("op_1");
  FaultyDisk::write_status = SQLITE_FULL;
  EXPECT_THAT(store().create(new_operation("op_2"), std::nullopt), FailsWith(ErrorCode::kIo));
  EXPECT_THAT(store().claim(id, {1, {"worker-1"}}, ""), FailsWith(ErrorCode::kIo));
  EXPECT_EQ(get(id).status, api::OperationStatus::kPending);
  FaultyDisk::write_status = SQLITE_OK;
  EXPECT_THAT(store().get({"op_2"}), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(store().create(new_operation("op_2"), std::nullopt), IsOk());
}

TEST_F(FailingDisk, ARowThatOverflowsTheCacheOntoAFullDiskFailsAloneOrWithItsNeighboursButNeverHalf) {
  FaultyDisk::write_status = SQLITE_FULL;
  NewOperation large = new_operation("op_large");
  large.request.strategy_yaml = std::string(20'000'000, 'x');  // ten times SQLite's page cache
  EXPECT_THAT(store().create(large, std::nullopt), FailsWith(ErrorCode::kIo));
  FaultyDisk::write_status = SQLITE_OK;
  EXPECT_THAT(store().get({"op_large"}), FailsWith(ErrorCode::kNotFound));
  create("op_1");
  EXPECT_EQ(value_of(store().list({})).total_count, 1);
}

TEST_F(FailingDisk, AFailedFsyncAcknowledgesNothingAndIsFinalUntilTheStoreIsOpenedAgain) {
  create("op_1");
  FaultyDisk::sync_status = SQLITE_IOERR_FSYNC;
  EXPECT_THAT(store().create(new_operation("op_2"), std::nullopt), FailsWith(ErrorCode::kIo));
  FaultyDisk::sync_status = SQLITE_OK;  // the next fsync would lie
  EXPECT_THAT(store().create(new_operation("op_3"), std::nullopt), FailsWith(ErrorCode::kIo));
  EXPECT_THAT(store().get({"op_1"}), IsOk());
  reopen();
  EXPECT_THAT(store().get({"op_1"}), IsOk());
  EXPECT_THAT(store().get({"op_3"}), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(store().create(new_operation("op_4"), std::nullopt), IsOk());
}

TEST_F(FailingDisk, WhenACommitFailsAllThatWaitedForItFail) {
  store_.reset();
  const auto database = value_of(SqliteDatabase::open(file_, clock_));
  std::latch held(1), release(1);
  std::atomic<int> failures = 0;
  const auto insert = [](std::string key) {
    return [key](Session& session) -> Result<void> {
      TRY(session.execute("INSERT INTO idempotency_keys VALUES ($1, '', '', '', '', '')", {key}));
      return {};
    };
  };
  {
    std::vector<std::jthread> threads;
    threads.emplace_back([&] {
      EXPECT_THAT(database->write([&](Session&) -> Result<void> {
        held.count_down();
        release.wait();
        return {};
      }),
                  IsOk());  // it wrote nothing, so its commit needs no disk
    });
    held.wait();
    for (int number = 0; number < 8; ++number) {
      threads.emplace_back([&, number] {
        // Every second one is refused, on the ground of neighbours that will be undone: that doesn't stand.
        const std::string key = "key-" + std::to_string(number / 2);
        failures += database->write(insert(key)).error().code == ErrorCode::kIo ? 1 : 0;
      });
    }
    while (database->statistics().waiting < 8) std::this_thread::yield();
    FaultyDisk::write_status = SQLITE_IOERR_WRITE;
    release.count_down();
  }
  EXPECT_EQ(failures, 8);
  FaultyDisk::write_status = SQLITE_OK;
  EXPECT_THAT(database->write(insert("key-0")), IsOk());
}

// ---- damage ----

TEST(DamagedDatabase, IsAnErrorNotACrashWhereverItIsDamaged) {
  const ktrdr::testing::TemporaryFolder folder;
  SystemClock clock;
  const std::filesystem::path file = folder / "ktrdr.db";
  {
    const auto store = value_of(open_sqlite_repository(file, clock));
    for (int i = 0; i < 30; ++i)
      ASSERT_THAT(store->create(new_operation("op_" + std::to_string(i)), {}), IsOk());
  }
  const std::string whole = value_of(read_file(file, 10'000'000));
  int refused = 0;
  for (std::size_t page = 0; page * 4096 < whole.size(); ++page) {
    std::string damaged = whole;
    std::memset(damaged.data() + page * 4096, 0xA5, 4096);
    std::ofstream(file, std::ios::binary | std::ios::trunc) << damaged;
    const auto store = open_sqlite_repository(file, clock);
    bool all_ok = store.ok();
    for (int i = 0; i < 30 && store.ok(); ++i) {
      const OperationId id{"op_" + std::to_string(i)};
      all_ok = (*store)->get(id).ok() && (*store)->job(id).ok() && (*store)->claim(id, {1, {"w"}}, "").ok() &&
               all_ok;
    }
    all_ok = store.ok() && (*store)->list({}).ok() && all_ok;
    refused += all_ok ? 0 : 1;
  }
  EXPECT_GT(refused, 5);  // most pages are needed for these calls
}

TEST(DamagedDatabase, ARowWithUnknownWordsIsAnErrorThatSaysSo) {
  const ktrdr::testing::TemporaryFolder folder;
  SystemClock clock;
  const std::filesystem::path file = folder / "ktrdr.db";
  const auto store = value_of(open_sqlite_repository(file, clock));
  ASSERT_THAT(store->create(new_operation("op_1"), {}), IsOk());
  const auto connection = value_of(SqliteConnection::open(file, Duration(1000)));
  for (const char* change :
       {"phase = 'dreaming'", "ended_by = 'magic'", "progress = '{'", "metadata = '[]'"}) {
    ASSERT_THAT(connection->run_script(std::string("UPDATE operations SET ") + change), IsOk());
    EXPECT_THAT(store->get({"op_1"}), FailsWith(ErrorCode::kIo)) << change;
    ASSERT_THAT(
        connection->run_script("UPDATE operations SET phase = 'queued', ended_by = '', progress = '{}',"
                               " metadata = '{}'"),
        IsOk());
    EXPECT_THAT(store->get({"op_1"}), IsOk());
  }
}

TEST(DamagedDatabase, ACheckpointPointerThatLeadsNowhereIsAnErrorAndNoCrash) {
  const ktrdr::testing::TemporaryFolder folder;
  SystemClock clock;
  const std::filesystem::path file = folder / "ktrdr.db";
  const auto store = value_of(open_sqlite_repository(file, clock));
  ASSERT_THAT(store->create(new_operation("op_1"), {}), IsOk());
  const Fence fence{1, {"worker-1"}};
  ASSERT_THAT(store->claim({"op_1"}, fence, ""), IsOk());
  ASSERT_THAT(store->commit_checkpoint({"op_1"}, fence, checkpoint({1, 0}, std::nullopt)), IsOk());
  ASSERT_THAT(store->fail({"op_1"}, fence, "x"), IsOk());
  const auto connection = value_of(SqliteConnection::open(file, Duration(1000)));
  ASSERT_THAT(connection->run_script("UPDATE operations SET checkpoint_sequence = 99"), IsOk());
  EXPECT_THAT(store->try_resume({"op_1"}, false, {}, std::nullopt), FailsWith(ErrorCode::kIo));
  EXPECT_EQ(value_of(store->get({"op_1"})).status, api::OperationStatus::kFailed) << "nothing was changed";
}

}  // namespace
}  // namespace ktrdr::storage
