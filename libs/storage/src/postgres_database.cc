#include "postgres_database.h"

#include <algorithm>
#include <thread>

#include "ktrdr/core/log.h"

namespace ktrdr::storage {
namespace {

using Failure = PostgresConnection::Failure;

// An unfinished transaction does not go back to the pool, also not when the job throws.
class RollBackAtEnd {
 public:
  explicit RollBackAtEnd(PostgresConnection& connection) : connection_(connection) {}
  ~RollBackAtEnd() {
    if (!finished_) connection_.roll_back();
  }
  RollBackAtEnd(const RollBackAtEnd&) = delete;
  RollBackAtEnd& operator=(const RollBackAtEnd&) = delete;

  void finished() { finished_ = true; }

 private:
  PostgresConnection& connection_;
  bool finished_ = false;
};

// A conflict is over when PostgreSQL reports it; only many in a row ask for a pause, of another length for
// each thread and server.
void pause_before_repeat(Failure failure, int repeats) {
  constexpr int kAtOnce = 4, kLongestShift = 5;
  static thread_local unsigned random =
      static_cast<unsigned>(std::hash<std::thread::id>()(std::this_thread::get_id()));
  if (failure == Failure::kLost && repeats > 1) std::this_thread::sleep_for(Duration(50));
  if (failure != Failure::kConflict || repeats < kAtOnce) return;
  random = random * 1664525U + 1013904223U;
  const unsigned longest = 1U << std::min(repeats - kAtOnce, kLongestShift);
  std::this_thread::sleep_for(std::chrono::microseconds(random % (1000 * longest)));
}

std::optional<Failure> worth_repeating(std::optional<Failure> failure) {
  return failure == Failure::kStatement ? std::nullopt : failure;
}

Error unknown_outcome(const Error& cause) {
  return {ErrorCode::kIo,
          "The connection to the database was lost at the very moment of saving a change, so it is"
          " not known whether it was saved; look at the operation and repeat the request if it was"
          " not. " +
              cause.message};
}

}  // namespace

Result<std::unique_ptr<PostgresDatabase>> PostgresDatabase::open(const std::string& uri, Clock& clock,
                                                                 const PostgresOptions& options) {
  TRY_ASSIGN(const PostgresAddress address, PostgresAddress::parse(uri));
  TRY_ASSIGN(const auto connection, PostgresConnection::open(address, PostgresConnection::Use::kWriting));
  TRY(migrate(*connection, address.name(), postgres_migrations(), clock));
  return std::unique_ptr<PostgresDatabase>(new PostgresDatabase(options, address));
}

PostgresDatabase::PostgresDatabase(const PostgresOptions& options, const PostgresAddress& address)
    : options_(options),
      writers_(address, PostgresConnection::Use::kWriting, options.writers),
      readers_(address, PostgresConnection::Use::kReading, options.readers),
      gathering_readers_(address, PostgresConnection::Use::kReading, PostgresGathering::kMostAsking) {}

Result<void> PostgresDatabase::write(const Job& job) { return run(writers_, write_once, job); }

Result<void> PostgresDatabase::read(const Job& job) { return run(readers_, read_once, job); }

Result<std::vector<Rows>> PostgresDatabase::select_together(const std::vector<Query>& queries) {
  if (auto answers = gathering_.ask(queries)) return std::move(*answers);
  return Database::select_together(queries);
}

Result<void> PostgresDatabase::run(PostgresPool& pool, Transaction transaction, const Job& job) {
  const SystemClock clock;  // bounds, not a schedule
  const Duration start = clock.monotonic();
  TRY_ASSIGN(PostgresPool::Lease lease, pool.take(options_.longest_wait));
  ++jobs_;
  for (int repeats = 1;; ++repeats) {
    Attempt attempt = attempt_once(lease, transaction, job);
    if (!may_repeat(attempt, clock.monotonic() - start)) return std::move(attempt.outcome);
    if (++repeats_; repeats == 1 && attempt.repeat_after == Failure::kLost) {
      log(LogLevel::kWarning, attempt.outcome.error().describe());
    }
    pause_before_repeat(*attempt.repeat_after, repeats);
  }
}

bool PostgresDatabase::may_repeat(const Attempt& attempt, Duration elapsed) const {
  if (!attempt.repeat_after) return false;
  return elapsed < (attempt.repeat_after == Failure::kLost ? options_.patience : options_.longest_wait);
}

PostgresDatabase::Attempt PostgresDatabase::attempt_once(PostgresPool::Lease& lease, Transaction transaction,
                                                         const Job& job) {
  const Result<PostgresConnection*> connection = lease.open();
  if (!connection.ok()) {
    const bool is_away = connection.error().code == ErrorCode::kUnavailable;
    return {connection.error(), is_away ? std::optional(Failure::kLost) : std::nullopt};
  }
  Attempt attempt = transaction(**connection, job);
  if ((*connection)->failure() == Failure::kLost) lease.close();
  return attempt;
}

PostgresDatabase::Attempt PostgresDatabase::write_once(PostgresConnection& connection, const Job& job) {
  connection.begin();
  RollBackAtEnd transaction(connection);
  Result<void> outcome = job(connection);
  if (connection.failure()) return {connection.outcome(), worth_repeating(connection.failure())};
  if (!outcome.ok()) return {std::move(outcome), std::nullopt};
  outcome = connection.commit();
  if (outcome.ok()) transaction.finished();
  if (connection.failure() == Failure::kLost) return {unknown_outcome(outcome.error()), std::nullopt};
  return {std::move(outcome), worth_repeating(connection.failure())};
}

PostgresDatabase::Attempt PostgresDatabase::read_once(PostgresConnection& connection, const Job& job) {
  connection.begin();
  const RollBackAtEnd transaction(connection);
  Result<void> outcome = job(connection);
  if (!connection.failure()) return {std::move(outcome), std::nullopt};
  return {connection.outcome(), worth_repeating(connection.failure())};
}

}  // namespace ktrdr::storage
