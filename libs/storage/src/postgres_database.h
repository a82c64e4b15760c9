// PostgreSQL behind the Database seam: a pool of connections, one transaction a job.
//
// Every transaction is REPEATABLE READ: the conditional UPDATE and the read that explains a refusal see one
// state, as they do in SQLite. Of two jobs that change one row at once the second fails inside PostgreSQL
// with 40001 and is run again from its beginning; it then sees what the first one did. PostgreSQL itself lets
// transactions that commit at the same time share an fsync.
#pragma once

#include <atomic>
#include <memory>

#include "database.h"
#include "ktrdr/core/clock.h"
#include "migrations.h"
#include "postgres_gathering.h"
#include "postgres_pool.h"

namespace ktrdr::storage {

struct PostgresOptions {
  std::size_t writers = 16;
  std::size_t readers = 4;
  Duration patience{3'000};       // with a server that can't be reached
  Duration longest_wait{10'000};  // for a connection, and for the end of conflicts
};

class PostgresDatabase final : public Database {
 public:
  static Result<std::unique_ptr<PostgresDatabase>> open(const std::string& uri, Clock& clock,
                                                        const PostgresOptions& options = {});

  // A job may be run several times (see database.h), but none of them after COMMIT was sent. kIo when the
  // connection was lost then: only asking again tells whether the change was made.
  Result<void> write(const Job& job) override;
  Result<void> read(const Job& job) override;
  Result<std::vector<Rows>> select_together(const std::vector<Query>& queries) override;

  struct Statistics {
    std::int64_t jobs = 0, repeats = 0;
  };
  Statistics statistics() const { return {.jobs = jobs_, .repeats = repeats_}; }

 private:
  struct Attempt {
    Result<void> outcome;
    std::optional<PostgresConnection::Failure> repeat_after;  // nothing: the outcome stands
  };
  using Transaction = Attempt (*)(PostgresConnection&, const Job&);

  PostgresDatabase(const PostgresOptions& options, const PostgresAddress& address);

  Result<void> run(PostgresPool& pool, Transaction transaction, const Job& job);
  bool may_repeat(const Attempt& attempt, Duration elapsed) const;
  static Attempt attempt_once(PostgresPool::Lease& lease, Transaction transaction, const Job& job);
  static Attempt write_once(PostgresConnection& connection, const Job& job);
  static Attempt read_once(PostgresConnection& connection, const Job& job);

  const PostgresOptions options_;
  PostgresPool writers_, readers_, gathering_readers_;
  PostgresGathering gathering_{gathering_readers_};
  std::atomic<std::int64_t> jobs_ = 0, repeats_ = 0;
};

}  // namespace ktrdr::storage
