#include "sqlite_database.h"

#include <fcntl.h>

#include <cerrno>

#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/log.h"
#include "migrations.h"

namespace ktrdr::storage {
namespace {

constexpr Duration kLongestNap{1'000};

// Only we may read it: requests and results are nobody else's. SQLite gives its -wal and -shm the same mode.
Result<void> create_file(const std::filesystem::path& file) {
  const FileDescriptor created(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!created.is_open()) return io_error("Cannot open the database", file, errno);
  return sync_folder(file.has_parent_path() ? file.parent_path() : ".");
}

// A network file system can't map the shared memory that WAL needs; SQLite then stays in another mode.
Result<void> use_write_ahead_log(SqliteConnection& connection, const std::filesystem::path& file) {
  TRY_ASSIGN(const Rows rows, connection.execute("PRAGMA journal_mode = WAL", {}));
  if (!rows.empty() && RowReader(rows.front()).text() == "wal") return {};
  return Error(ErrorCode::kIo, "The database " + file.string() +
                                   " can't use a write-ahead log there; put it on a local disk.");
}

Result<void> finish_reading(SqliteConnection& connection, Result<void> outcome) {
  const Result<Rows> ended = connection.execute("ROLLBACK", {});  // nothing was changed
  if (outcome.ok() && !ended.ok()) return ended.error();
  return outcome;
}

Result<void> read_in_transaction(SqliteConnection& connection, const Job& job) {
  TRY(connection.execute("BEGIN", {}));
  return finish_reading(connection, job(connection));
}

}  // namespace

Result<std::unique_ptr<SqliteDatabase>> SqliteDatabase::open(const std::filesystem::path& file, Clock& clock,
                                                             const SqliteOptions& options) {
  TRY(create_file(file));
  TRY_ASSIGN(auto writer, SqliteConnection::open(file, options.busy_timeout));
  TRY(use_write_ahead_log(*writer, file));
  TRY(migrate(*writer, file, sqlite_migrations(), clock));
  Readers readers;
  for (std::size_t i = 0; i < options.readers; ++i) {
    TRY_ASSIGN(auto reader, SqliteConnection::open(file, options.busy_timeout));
    TRY(reader->run_script("PRAGMA query_only = ON"));
    readers.push_back(std::move(reader));
  }
  return std::unique_ptr<SqliteDatabase>(
      new SqliteDatabase(file, options, std::move(writer), std::move(readers)));
}

SqliteDatabase::SqliteDatabase(const std::filesystem::path& file, const SqliteOptions& options,
                               std::unique_ptr<SqliteConnection> writer, Readers readers)
    : options_(options),
      writer_(std::move(writer)),
      reserve_(file.string() + "-reserve", options.reserve_bytes),
      readers_(std::move(readers)),
      thread_([this] { write_until_closed(); }) {}

SqliteDatabase::~SqliteDatabase() {
  queue_.update([](Queue& queue) { queue.closing = true; });
  thread_.join();
}

Result<void> SqliteDatabase::write(const Job& job) {
  TRY_ASSIGN(std::future<Result<void>> answer, enqueue(job));
  // No timeout: the writer answers every job it accepted, and giving up here would leave the caller not
  // knowing what happened. The waits inside it are bounded by busy_timeout.
  return answer.get();
}

Result<std::future<Result<void>>> SqliteDatabase::enqueue(const Job& job) {
  auto pending = std::make_unique<Pending>();
  pending->job = &job;
  std::future<Result<void>> answer = pending->answer.get_future();
  const bool accepted = queue_.wait(
      options_.longest_wait, [this](Queue& queue) { return queue.pending.size() < options_.queue_bound; },
      [&](Queue& queue, bool has_room) {
        if (has_room) queue.pending.push_back(std::move(pending));
        return has_room;
      });
  if (!accepted) {
    return Error(ErrorCode::kUnavailable,
                 "The database is too busy to take another change; try again later.");
  }
  queue_.update([](Queue&) {});  // wakes the writer
  return answer;
}

void SqliteDatabase::write_until_closed() {
  for (Batch batch = next_batch(); !batch.empty(); batch = next_batch()) {
    const Result<void> committed = commit_with_reserve(batch);
    if (!committed.ok()) log(LogLevel::kError, committed.error().describe());
    for (const auto& pending : batch) {
      // A refusal may have been caused by a neighbour's change that is undone now, so it doesn't stand
      // either.
      pending->answer.set_value(committed.ok() ? std::move(pending->outcome) : committed);
    }
  }
}

// Empty only when the database is being closed and nothing is left to do.
SqliteDatabase::Batch SqliteDatabase::next_batch() {
  Batch batch;
  bool closed = false;
  while (batch.empty() && !closed) {
    queue_.wait(
        kLongestNap, [](Queue& queue) { return queue.closing || !queue.pending.empty(); },
        [&](Queue& queue, bool) {
          while (!queue.pending.empty() && batch.size() < options_.jobs_per_commit) {
            batch.push_back(std::move(queue.pending.front()));
            queue.pending.pop_front();
          }
          closed = queue.closing;
        });
  }
  queue_.update([](Queue&) {});  // there is room again
  return batch;
}

// On a full disk the reserve makes room for the same batch again: nothing of it was saved, and jobs are
// repeatable.
Result<void> SqliteDatabase::commit_with_reserve(Batch& batch) {
  Result<void> committed = commit_together(batch);
  if (!committed.ok() && writer_->disk_was_full() && reserve_.give_up()) committed = commit_together(batch);
  if (committed.ok()) reserve_.take_again();
  return committed;
}

Result<void> SqliteDatabase::commit_together(Batch& batch) {
  if (broken_) return *broken_;
  TRY(writer_->execute("BEGIN IMMEDIATE", {}));
  for (const auto& pending : batch) {
    if (auto outcome = run_in_savepoint(*pending); !outcome.ok()) {
      if (writer_->in_transaction()) static_cast<void>(writer_->execute("ROLLBACK", {}));
      return outcome;
    }
  }
  return commit();
}

// An error means that the whole transaction can't be saved; the job's own answer is in `pending`.
Result<void> SqliteDatabase::run_in_savepoint(Pending& pending) {
  TRY(writer_->execute("SAVEPOINT job", {}));
  pending.outcome = (*pending.job)(*writer_);
  ++jobs_;
  // A full disk or a failed write makes SQLite give up the whole transaction, neighbours included.
  if (!writer_->in_transaction()) {
    return pending.outcome.ok() ? Error(ErrorCode::kIo, "The database gave up the change.") : pending.outcome;
  }
  if (!pending.outcome.ok()) TRY(writer_->execute("ROLLBACK TO job", {}));
  TRY(writer_->execute("RELEASE job", {}));
  return {};
}

Result<void> SqliteDatabase::commit() {
  const Result<Rows> committed = writer_->execute("COMMIT", {});
  if (committed.ok()) {
    ++transactions_;
    return {};
  }
  const bool sync_failed = writer_->last_sync_failed();
  if (writer_->in_transaction()) static_cast<void>(writer_->execute("ROLLBACK", {}));
  Error failed(ErrorCode::kIo, committed.error().message);
  // A second fsync would succeed without having written anything: only a new process, which reads the log
  // again, may go on.
  if (sync_failed) broken_ = Error(ErrorCode::kIo, failed.message + " Restart the server.");
  return failed;
}

Result<void> SqliteDatabase::read(const Job& job) {
  std::unique_ptr<SqliteConnection> connection = readers_.wait(
      options_.longest_wait, [](Readers& idle) { return !idle.empty(); },
      [](Readers& idle, bool is_idle) {
        std::unique_ptr<SqliteConnection> taken;
        if (is_idle) {
          taken = std::move(idle.back());
          idle.pop_back();
        }
        return taken;
      });
  if (!connection) {
    return Error(ErrorCode::kUnavailable, "The database is too busy to answer; try again later.");
  }
  Result<void> outcome = read_in_transaction(*connection, job);
  readers_.update([&](Readers& idle) { idle.push_back(std::move(connection)); });
  return outcome;
}

SqliteDatabase::Statistics SqliteDatabase::statistics() {
  return {.transactions = transactions_, .jobs = jobs_, .waiting = queue_.lock()->pending.size()};
}

}  // namespace ktrdr::storage
