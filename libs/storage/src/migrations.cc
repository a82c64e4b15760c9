#include "migrations.h"

#include "sqlite_connection.h"

namespace ktrdr::storage {
namespace {

// "ktrd": how `file` and we tell our databases from others.
constexpr std::int64_t kApplicationId = 0x6b747264;

// `requests` is apart from `operations` because SQLite rewrites a whole row at every change of it, and a
// heartbeat must not write the strategy's text again.
constexpr const char* kTables = R"sql(
PRAGMA application_id = 1802793572;

CREATE TABLE operations (
  operation_id TEXT NOT NULL PRIMARY KEY,
  operation_type TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
  phase TEXT NOT NULL,
  attempt INTEGER NOT NULL CHECK (attempt >= 1),
  version INTEGER NOT NULL CHECK (version >= 1),
  owner TEXT,
  owner_name TEXT NOT NULL DEFAULT '',
  heartbeat_sequence INTEGER NOT NULL DEFAULT 0,
  last_heartbeat_at TEXT,
  created_at TEXT NOT NULL,
  started_at TEXT,
  completed_at TEXT,
  metadata TEXT NOT NULL,
  progress TEXT NOT NULL,
  error_message TEXT,
  result TEXT,
  cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
  cancel_reason TEXT NOT NULL DEFAULT '',
  allow_changes INTEGER NOT NULL DEFAULT 0 CHECK (allow_changes IN (0, 1)),
  checkpoint_attempt INTEGER,
  checkpoint_sequence INTEGER,
  last_sequence INTEGER NOT NULL DEFAULT -1,
  ended_by TEXT NOT NULL DEFAULT '',
  model_path TEXT,
  model_sha256 TEXT,
  dropped_checkpoints TEXT NOT NULL DEFAULT '',
  is_backend_local INTEGER NOT NULL DEFAULT 0,
  parent_operation_id TEXT,
  CHECK ((checkpoint_attempt IS NULL) = (checkpoint_sequence IS NULL)),
  CHECK (status <> 'pending' OR owner IS NULL),
  CHECK ((completed_at IS NULL) = (status IN ('pending', 'running')))
) STRICT;
CREATE INDEX operations_by_status ON operations (status, created_at, operation_id);
CREATE INDEX operations_by_time ON operations (created_at, operation_id);
CREATE INDEX operations_waiting ON operations (created_at, operation_id, attempt, checkpoint_sequence)
  WHERE owner IS NULL AND completed_at IS NULL;

CREATE TABLE requests (
  operation_id TEXT NOT NULL PRIMARY KEY REFERENCES operations (operation_id),
  request TEXT NOT NULL
) STRICT;

CREATE TABLE checkpoints (
  operation_id TEXT NOT NULL REFERENCES operations (operation_id),
  attempt INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  parent_attempt INTEGER,
  parent_sequence INTEGER,
  checkpoint_type TEXT NOT NULL,
  epoch INTEGER,
  start_epoch INTEGER NOT NULL,
  start_batch INTEGER NOT NULL,
  global_step INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  manifest_digest TEXT NOT NULL,
  dropped TEXT NOT NULL DEFAULT '',
  rewound_from TEXT,
  PRIMARY KEY (operation_id, attempt, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE epochs (
  operation_id TEXT NOT NULL REFERENCES operations (operation_id),
  epoch INTEGER NOT NULL,
  metrics TEXT NOT NULL,
  PRIMARY KEY (operation_id, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE warnings (
  operation_id TEXT NOT NULL REFERENCES operations (operation_id),
  position INTEGER NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (operation_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_keys (
  idempotency_key TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  operation_id TEXT NOT NULL,
  answer TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);
)sql";

// COUNT over a million rows costs 118 ms; a list must not.
constexpr const char* kCounters = R"sql(
CREATE TABLE status_counts (
  operation_type TEXT NOT NULL,
  status TEXT NOT NULL,
  operations INTEGER NOT NULL CHECK (operations >= 0),
  PRIMARY KEY (operation_type, status)
) STRICT, WITHOUT ROWID;
INSERT INTO status_counts SELECT operation_type, status, COUNT(*) FROM operations GROUP BY 1, 2;

CREATE TRIGGER operations_count_insert AFTER INSERT ON operations BEGIN
  INSERT INTO status_counts VALUES (NEW.operation_type, NEW.status, 1)
    ON CONFLICT (operation_type, status) DO UPDATE SET operations = operations + 1;
END;
CREATE TRIGGER operations_count_update AFTER UPDATE OF status ON operations WHEN OLD.status <> NEW.status BEGIN
  UPDATE status_counts SET operations = operations - 1
    WHERE operation_type = OLD.operation_type AND status = OLD.status;
  INSERT INTO status_counts VALUES (NEW.operation_type, NEW.status, 1)
    ON CONFLICT (operation_type, status) DO UPDATE SET operations = operations + 1;
END;
CREATE TRIGGER operations_count_delete AFTER DELETE ON operations BEGIN
  UPDATE status_counts SET operations = operations - 1
    WHERE operation_type = OLD.operation_type AND status = OLD.status;
END;
)sql";

// What lists ask for, beside a status.
constexpr const char* kLists = R"sql(
CREATE INDEX operations_active ON operations (created_at, operation_id) WHERE completed_at IS NULL;
CREATE INDEX operations_by_owner ON operations (owner, created_at, operation_id) WHERE owner IS NOT NULL;
CREATE INDEX operations_by_parent ON operations (parent_operation_id, created_at, operation_id)
  WHERE parent_operation_id IS NOT NULL;
CREATE INDEX checkpoints_by_time ON checkpoints (created_at, operation_id);
)sql";

// The history of an operation: appended by every change, in its transaction.
constexpr const char* kEvents = R"sql(
CREATE TABLE operation_events (
  operation_id TEXT NOT NULL REFERENCES operations (operation_id),
  sequence INTEGER NOT NULL,
  at TEXT NOT NULL,
  kind TEXT NOT NULL,
  status TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  version INTEGER NOT NULL,
  worker_id TEXT,
  worker_name TEXT,
  checkpoint TEXT,
  message TEXT NOT NULL,
  PRIMARY KEY (operation_id, sequence)
) STRICT, WITHOUT ROWID;
)sql";

// Attempts that begin without anybody asking: how many since a client asked, what ended the one before (as in
// ended_by), what people read of that, whose it was, and the batch that failed last (-1: none).
constexpr const char* kRestarts = R"sql(
ALTER TABLE operations ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE operations ADD COLUMN restart_cause TEXT NOT NULL DEFAULT '';
ALTER TABLE operations ADD COLUMN restart_reason TEXT;
ALTER TABLE operations ADD COLUMN restarted_worker TEXT NOT NULL DEFAULT '';
ALTER TABLE operations ADD COLUMN failed_epoch INTEGER NOT NULL DEFAULT -1;
ALTER TABLE operations ADD COLUMN failed_batch INTEGER NOT NULL DEFAULT -1;
)sql";

// How many operations have a checkpoint: one of each is the current one.
constexpr const char* kCheckpointTotal = R"sql(
CREATE INDEX operations_with_checkpoint ON operations (operation_id) WHERE checkpoint_attempt IS NOT NULL;
)sql";

constexpr Migration kMigrations[] = {{1, kTables}, {2, kCounters}, {3, kLists},
                                     {4, kEvents}, {5, kRestarts}, {6, kCheckpointTotal}};

Result<std::int64_t> number_of(SqliteConnection& connection, std::string_view sql) {
  TRY_ASSIGN(const Rows rows, connection.execute(sql, {}));
  return rows.empty() ? 0 : RowReader(rows.front()).integer();
}

// 0 for a new, empty file.
Result<std::int64_t> schema_version(SqliteConnection& connection, const std::filesystem::path& file) {
  TRY_ASSIGN(const std::int64_t application, number_of(connection, "PRAGMA application_id"));
  if (application == kApplicationId) {
    return number_of(connection, "SELECT COALESCE(MAX(version), 0) FROM schema_version");
  }
  TRY_ASSIGN(const std::int64_t objects, number_of(connection, "SELECT COUNT(*) FROM sqlite_master"));
  if (application == 0 && objects == 0) return 0;
  return Error(ErrorCode::kInvalidArgument,
               "The database " + file.string() + " belongs to another program; name another file.");
}

Result<void> apply(SqliteConnection& connection, const Migration& step, Clock& clock) {
  TRY(connection.run_script(step.statements));
  TRY(connection.execute("INSERT INTO schema_version (version, applied_at) VALUES ($1, $2)",
                         {step.version, iso8601_utc(clock.wall_ms())}));
  return {};
}

Result<void> apply_missing(SqliteConnection& connection, const std::filesystem::path& file,
                           std::span<const Migration> steps, Clock& clock) {
  TRY_ASSIGN(const std::int64_t current, schema_version(connection, file));
  TRY(refuse_newer_schema(file.string(), current, steps));
  TRY(
      connection.run_script("CREATE TABLE IF NOT EXISTS schema_version"
                            " (version INTEGER NOT NULL PRIMARY KEY, applied_at TEXT NOT NULL) STRICT"));
  for (const Migration& step : steps) {
    if (step.version > current) TRY(apply(connection, step, clock));
  }
  return {};
}

}  // namespace

std::span<const Migration> sqlite_migrations() { return kMigrations; }

Result<void> refuse_newer_schema(const std::string& database, std::int64_t current,
                                 std::span<const Migration> steps) {
  const std::int64_t newest = steps.back().version;
  if (current <= newest) return {};
  return Error(ErrorCode::kUnsupported, "The database " + database + " has schema " +
                                            std::to_string(current) + ", but this program knows only " +
                                            std::to_string(newest) + "; use the newer ktrdr.");
}

Result<void> migrate(SqliteConnection& connection, const std::filesystem::path& file,
                     std::span<const Migration> steps, Clock& clock) {
  TRY(connection.run_script("BEGIN IMMEDIATE"));
  Result<void> applied = apply_missing(connection, file, steps, clock);
  if (applied.ok()) applied = connection.run_script("COMMIT");
  if (!applied.ok() && connection.in_transaction()) static_cast<void>(connection.run_script("ROLLBACK"));
  return applied;
}

}  // namespace ktrdr::storage
