// SQLite behind the Database seam: one writer thread with group commit, and a few connections for reading.
//
// A write job waits in a bounded queue. The writer takes up to 256 of them into one transaction, each in a
// savepoint of its own, commits once, and only then answers all: one fsync serves everybody who waited. A job
// that returns an error rolls back its own savepoint only; when the commit fails, all of them failed.
#pragma once

#include <atomic>
#include <deque>
#include <filesystem>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "database.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/core/synchronized.h"
#include "space_reserve.h"
#include "sqlite_connection.h"

namespace ktrdr::storage {

struct SqliteOptions {
  std::size_t queue_bound = 4096;  // further writers wait for room
  std::size_t jobs_per_commit = 256;
  std::size_t readers = 4;
  Duration busy_timeout{10'000};    // for another program's lock
  Duration longest_wait{30'000};    // for room in the queue, or for a reading connection
  std::uint64_t reserve_bytes = 0;  // of disk space, given up when the disk is full
};

class SqliteDatabase final : public Database {
 public:
  // Creates the file (mode 0600) in an existing folder, or brings an older one to the newest schema.
  static Result<std::unique_ptr<SqliteDatabase>> open(const std::filesystem::path& file, Clock& clock,
                                                      const SqliteOptions& options = {});
  // Finishes every job that was accepted. No other thread may be calling.
  ~SqliteDatabase() override;

  Result<void> write(const Job& job) override;
  Result<void> read(const Job& job) override;

  struct Statistics {
    std::int64_t transactions = 0, jobs = 0;
    std::size_t waiting = 0;
  };
  Statistics statistics();

 private:
  struct Pending {
    const Job* job;  // lives in write(), which waits for the answer
    std::promise<Result<void>> answer;
    Result<void> outcome;
  };
  using Batch = std::vector<std::unique_ptr<Pending>>;
  struct Queue {
    std::deque<std::unique_ptr<Pending>> pending;
    bool closing = false;
  };
  using Readers = std::vector<std::unique_ptr<SqliteConnection>>;

  SqliteDatabase(const std::filesystem::path& file, const SqliteOptions& options,
                 std::unique_ptr<SqliteConnection> writer, Readers readers);

  Result<std::future<Result<void>>> enqueue(const Job& job);
  void write_until_closed();
  Batch next_batch();
  Result<void> commit_together(Batch& batch);
  Result<void> commit_with_reserve(Batch& batch);
  Result<void> run_in_savepoint(Pending& pending);
  Result<void> commit();

  const SqliteOptions options_;
  std::unique_ptr<SqliteConnection> writer_;  // the writer thread's alone
  SpaceReserve reserve_;                      // the writer thread's alone
  std::optional<Error> broken_;               // the writer thread's alone: set for good by a failed fsync
  Synchronized<Queue> queue_;
  Synchronized<Readers> readers_;
  std::atomic<std::int64_t> transactions_ = 0, jobs_ = 0;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace ktrdr::storage
