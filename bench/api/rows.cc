#include "rows.h"

#include <sqlite3.h>

#include "ktrdr/core/check.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/storage/testing/operations_repository_fixture.h"

namespace ktrdr::bench {
namespace {

constexpr int kFirst = 1'000'000;
constexpr std::int64_t kFirstSecond = 1'735'689'600;  // 2025-01-01

std::string numbers(int count) {
  return "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < " +
         std::to_string(count) + ") ";
}

const std::string kId = "'op_' || (" + std::to_string(kFirst) + " + n)";

std::string their_requests(const std::string& template_id, int count) {
  return numbers(count) + "INSERT INTO requests (operation_id, request) SELECT " + kId +
         ", t.request FROM numbers, requests t WHERE t.operation_id = '" + template_id + "';";
}

// Of those copies that can be resumed.
std::string their_checkpoints(const std::string& template_id) {
  return "INSERT INTO checkpoints (operation_id, attempt, sequence, checkpoint_type, epoch, start_epoch,"
         " start_batch, global_step, created_at, size_bytes, manifest_digest) SELECT o.operation_id,"
         " t.attempt, t.sequence, t.checkpoint_type, t.epoch, t.start_epoch, t.start_batch, t.global_step,"
         " t.created_at, t.size_bytes, t.manifest_digest FROM checkpoints t, operations o"
         " WHERE t.operation_id = '" +
         template_id + "' AND t.sequence = 1 AND o.operation_id > 'op_" + std::to_string(kFirst) +
         "' AND o.operation_id <= 'op_" + std::to_string(2 * kFirst) +
         "' AND o.status IN ('failed', 'cancelled');";
}

// `numbered` is a WITH clause of a table `numbers`, which has a column n.
std::string copies(const std::string& template_id, const std::string& numbered,
                   const std::string& status_created_completed) {
  return numbered +
         "INSERT INTO operations (operation_id, status, created_at, completed_at, operation_type, phase, "
         "attempt,"
         " version, started_at, metadata, progress, error_message, checkpoint_attempt, checkpoint_sequence,"
         " last_sequence, ended_by) SELECT " +
         kId + ", " + status_created_completed +
         ", t.operation_type, t.phase, t.attempt, t.version, t.started_at, t.metadata, t.progress,"
         " t.error_message, t.checkpoint_attempt, t.checkpoint_sequence, t.last_sequence, t.ended_by"
         " FROM numbers, operations t WHERE t.operation_id = '" +
         template_id + "';";
}

// Of 200: 120 completed, 40 failed, 38 cancelled, 1 running, 1 pending.
constexpr const char* kStatus =
    "CASE WHEN n % 200 < 120 THEN 'completed' WHEN n % 200 < 160 THEN 'failed'"
    " WHEN n % 200 < 198 THEN 'cancelled' WHEN n % 200 = 198 THEN 'running' ELSE 'pending' END";

// numbers(n, at) for SQLite, `at` being the n-th second. A day's seconds are spelled once: to spell a million
// takes longer than to insert them.
std::string seconds(int count) {
  const std::string days = std::to_string(1 + count / 86'400), first = std::to_string(kFirstSecond);
  return "WITH RECURSIVE days(d) AS (SELECT 0 UNION ALL SELECT d + 1 FROM days WHERE d + 1 < " + days +
         "), of_a_day(s) AS (SELECT 0 UNION ALL SELECT s + 1 FROM of_a_day WHERE s < 86399),"
         " dates AS MATERIALIZED (SELECT d, strftime('%Y-%m-%d', " +
         first +
         " + 86400 * d, 'unixepoch') AS day FROM days),"
         " times AS MATERIALIZED (SELECT s, strftime('T%H:%M:%S', s, 'unixepoch') || '.000Z' AS time FROM "
         "of_a_day),"
         " numbers AS (SELECT 86400 * d + s AS n, day || time AS at FROM dates CROSS JOIN times"
         " WHERE 86400 * d + s BETWEEN 1 AND " +
         std::to_string(count) + ") ";
}

void execute(sqlite3* database, const std::string& sql) {
  char* failure = nullptr;
  const int status = sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &failure);
  CHECK(status == SQLITE_OK, failure);
}

// What was said to make each index and trigger of a table of ours.
std::vector<std::pair<std::string, std::string>> indexes_and_triggers(sqlite3* database) {
  std::vector<std::pair<std::string, std::string>> made;  // DROP, CREATE
  sqlite3_exec(
      database,
      "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL",
      [](void* into, int, char** row, char**) {
        static_cast<decltype(made)*>(into)->emplace_back(std::string("DROP ") + row[0] + " " + row[1],
                                                         row[2]);
        return 0;
      },
      &made, nullptr);
  return made;
}

}  // namespace

void add_failed(storage::OperationsRepository& store, const std::string& id) {
  using namespace storage::testing;
  const storage::Fence fence{1, {"worker-1"}};
  const auto done = [](const auto& result) { CHECK(result.ok(), "a store takes the life of an operation"); };
  done(store.create(new_operation(id), std::nullopt));
  done(store.claim({id}, fence, "alpha"));
  done(store.commit_checkpoint({id}, fence, checkpoint({1, 0}, std::nullopt)));
  done(store.commit_checkpoint({id}, fence, checkpoint({1, 1}, CheckpointRef{1, 0}, 0)));
  done(store.heartbeat({id}, heartbeat(fence, {0})));
  done(store.fail({id}, fence, "out of memory"));
}

std::string failed_copies(const std::string& template_id, int count) {
  return copies(template_id, numbers(count), "t.status, t.created_at, t.completed_at") +
         their_requests(template_id, count) + their_checkpoints(template_id);
}

std::string years_of_operations(const std::string& template_id, int count) {
  return copies(template_id, seconds(count),
                std::string(kStatus) + ", at, CASE WHEN n % 200 < 198 THEN t.completed_at ELSE NULL END") +
         their_checkpoints(template_id);
}

std::string copy_id(int number) { return "op_" + std::to_string(kFirst + number); }
std::string copy_time(int number) { return iso8601_utc((kFirstSecond + number) * 1000); }

void run_in_sqlite(const std::filesystem::path& file, const std::string& sql) {
  sqlite3* database = nullptr;
  CHECK(sqlite3_open(file.c_str(), &database) == SQLITE_OK, "the repository made the file");
  execute(database, "PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; BEGIN;" + sql + "COMMIT;");
  sqlite3_close(database);
}

void fill_sqlite(const std::filesystem::path& file, const std::string& sql) {
  sqlite3* database = nullptr;
  CHECK(sqlite3_open(file.c_str(), &database) == SQLITE_OK, "the repository made the file");
  execute(database,
          "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; BEGIN");
  const auto parts = indexes_and_triggers(database);
  for (const auto& [drop, create] : parts) execute(database, drop);
  execute(database, sql);
  for (const auto& [drop, create] : parts) execute(database, create);
  execute(database,
          "DELETE FROM status_counts;"
          "INSERT INTO status_counts SELECT operation_type, status, COUNT(*) FROM operations GROUP BY 1, 2; "
          "COMMIT; PRAGMA journal_mode = WAL");
  sqlite3_close(database);
}

void fill_postgres(const storage::testing::PostgresCluster& cluster, const std::string& database,
                   const std::string& sql) {
  cluster.query(database,
                "SET search_path TO ktrdr; SET session_replication_role = replica;" + sql +
                    "DELETE FROM status_counts;"
                    "INSERT INTO status_counts SELECT operation_type, status, 0, COUNT(*) FROM operations"
                    " GROUP BY 1, 2;");
}

}  // namespace ktrdr::bench
