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

std::string their_checkpoints(const std::string& template_id, int count, const std::string& which) {
  return numbers(count) +
         "INSERT INTO checkpoints (operation_id, attempt, sequence, checkpoint_type, epoch, start_epoch,"
         " start_batch, global_step, created_at, size_bytes, manifest_digest) SELECT " +
         kId +
         ", t.attempt, t.sequence, t.checkpoint_type, t.epoch, t.start_epoch, t.start_batch, t.global_step,"
         " t.created_at, t.size_bytes, t.manifest_digest FROM numbers, checkpoints t WHERE t.operation_id = "
         "'" +
         template_id + "' AND t.sequence = 1" + which + ";";
}

std::string copies(const std::string& template_id, int count, const std::string& status_created_completed) {
  return numbers(count) +
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
constexpr const char* kResumable = " AND n % 200 BETWEEN 120 AND 197";

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
  return copies(template_id, count, "t.status, t.created_at, t.completed_at") +
         their_requests(template_id, count) + their_checkpoints(template_id, count, "");
}

std::string years_of_operations(const std::string& template_id, int count) {
  const std::string created =
      "strftime('%Y-%m-%dT%H:%M:%S', " + std::to_string(kFirstSecond) + " + n, 'unixepoch') || '.000Z'";
  return copies(template_id, count,
                std::string(kStatus) + ", " + created +
                    ", CASE WHEN n % 200 < 198 THEN t.completed_at ELSE NULL END") +
         their_checkpoints(template_id, count, kResumable);
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
  execute(database, "PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; BEGIN");
  const auto parts = indexes_and_triggers(database);
  for (const auto& [drop, create] : parts) execute(database, drop);
  execute(database, sql);
  for (const auto& [drop, create] : parts) execute(database, create);
  execute(database,
          "DELETE FROM status_counts;"
          "INSERT INTO status_counts SELECT operation_type, status, COUNT(*) FROM operations GROUP BY 1, 2; "
          "COMMIT");
  sqlite3_close(database);
}

}  // namespace ktrdr::bench
