// The PostgreSQL words of migrations.cc, step by step.
#include "migrations.h"
#include "postgres_connection.h"

namespace ktrdr::storage {
namespace {

// Text is ordered by its bytes, as in SQLite: with a language's own order, "op_2" could come before "op_10"
// on one server and after it on another. The room that fillfactor leaves keeps a heartbeat on its row's page,
// so that it writes no index.
constexpr const char* kTables = R"sql(
CREATE TABLE ktrdr.operations (
  operation_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  operation_type TEXT COLLATE "C" NOT NULL,
  status TEXT COLLATE "C" NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
  phase TEXT COLLATE "C" NOT NULL,
  attempt BIGINT NOT NULL CHECK (attempt >= 1),
  version BIGINT NOT NULL CHECK (version >= 1),
  owner TEXT COLLATE "C",
  owner_name TEXT NOT NULL DEFAULT '',
  heartbeat_sequence BIGINT NOT NULL DEFAULT 0,
  last_heartbeat_at TEXT COLLATE "C",
  created_at TEXT COLLATE "C" NOT NULL,
  started_at TEXT COLLATE "C",
  completed_at TEXT COLLATE "C",
  metadata TEXT NOT NULL,
  progress TEXT NOT NULL,
  error_message TEXT,
  result TEXT,
  cancel_requested BIGINT NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
  cancel_reason TEXT NOT NULL DEFAULT '',
  allow_changes BIGINT NOT NULL DEFAULT 0 CHECK (allow_changes IN (0, 1)),
  checkpoint_attempt BIGINT,
  checkpoint_sequence BIGINT,
  last_sequence BIGINT NOT NULL DEFAULT -1,
  ended_by TEXT COLLATE "C" NOT NULL DEFAULT '',
  model_path TEXT,
  model_sha256 TEXT,
  dropped_checkpoints TEXT NOT NULL DEFAULT '',
  is_backend_local BIGINT NOT NULL DEFAULT 0,
  parent_operation_id TEXT COLLATE "C",
  CHECK ((checkpoint_attempt IS NULL) = (checkpoint_sequence IS NULL)),
  CHECK (status <> 'pending' OR owner IS NULL),
  CHECK ((completed_at IS NULL) = (status IN ('pending', 'running')))
) WITH (fillfactor = 70);
CREATE INDEX operations_by_status ON ktrdr.operations (status, created_at, operation_id);
CREATE INDEX operations_by_time ON ktrdr.operations (created_at, operation_id);
CREATE INDEX operations_waiting ON ktrdr.operations (created_at, operation_id)
  WHERE owner IS NULL AND completed_at IS NULL;

CREATE TABLE ktrdr.requests (
  operation_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES ktrdr.operations (operation_id),
  request TEXT NOT NULL
);

CREATE TABLE ktrdr.checkpoints (
  operation_id TEXT COLLATE "C" NOT NULL REFERENCES ktrdr.operations (operation_id),
  attempt BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  parent_attempt BIGINT,
  parent_sequence BIGINT,
  checkpoint_type TEXT COLLATE "C" NOT NULL,
  epoch BIGINT,
  start_epoch BIGINT NOT NULL,
  start_batch BIGINT NOT NULL,
  global_step BIGINT NOT NULL,
  created_at TEXT COLLATE "C" NOT NULL,
  size_bytes BIGINT NOT NULL,
  manifest_digest TEXT NOT NULL,
  dropped TEXT NOT NULL DEFAULT '',
  rewound_from TEXT,
  PRIMARY KEY (operation_id, attempt, sequence)
);

CREATE TABLE ktrdr.epochs (
  operation_id TEXT COLLATE "C" NOT NULL REFERENCES ktrdr.operations (operation_id),
  epoch BIGINT NOT NULL,
  metrics TEXT NOT NULL,
  PRIMARY KEY (operation_id, epoch)
);

CREATE TABLE ktrdr.warnings (
  operation_id TEXT COLLATE "C" NOT NULL REFERENCES ktrdr.operations (operation_id),
  position BIGINT NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (operation_id, position)
);

CREATE TABLE ktrdr.idempotency_keys (
  idempotency_key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  kind TEXT COLLATE "C" NOT NULL,
  request_hash TEXT COLLATE "C" NOT NULL,
  operation_id TEXT COLLATE "C" NOT NULL,
  answer TEXT NOT NULL,
  created_at TEXT COLLATE "C" NOT NULL
);
CREATE INDEX idempotency_keys_by_time ON ktrdr.idempotency_keys (created_at);
)sql";

// Each connection counts in rows of its own (a shard), or every start of an operation would wait for every
// other one; a list adds them up. A shard's number may fall below 0, their sum does not. The triggers come
// first: they lock the table, so that no row is counted twice or left out.
constexpr const char* kCounters = R"sql(
CREATE TABLE ktrdr.status_counts (
  operation_type TEXT COLLATE "C" NOT NULL,
  status TEXT COLLATE "C" NOT NULL,
  shard BIGINT NOT NULL,
  operations BIGINT NOT NULL,
  PRIMARY KEY (operation_type, status, shard)
) WITH (fillfactor = 50);

CREATE FUNCTION ktrdr.count_operation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    INSERT INTO ktrdr.status_counts AS counted
      VALUES (OLD.operation_type, OLD.status, pg_backend_pid() % 128, -1)
      ON CONFLICT (operation_type, status, shard) DO UPDATE SET operations = counted.operations - 1;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO ktrdr.status_counts AS counted
      VALUES (NEW.operation_type, NEW.status, pg_backend_pid() % 128, 1)
      ON CONFLICT (operation_type, status, shard) DO UPDATE SET operations = counted.operations + 1;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER operations_count_insert AFTER INSERT ON ktrdr.operations
  FOR EACH ROW EXECUTE FUNCTION ktrdr.count_operation();
CREATE TRIGGER operations_count_update AFTER UPDATE OF status ON ktrdr.operations
  FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION ktrdr.count_operation();
CREATE TRIGGER operations_count_delete AFTER DELETE ON ktrdr.operations
  FOR EACH ROW EXECUTE FUNCTION ktrdr.count_operation();

INSERT INTO ktrdr.status_counts SELECT operation_type, status, 0, COUNT(*) FROM ktrdr.operations GROUP BY 1, 2;
)sql";

// What lists ask for, beside a status.
constexpr const char* kLists = R"sql(
CREATE INDEX operations_active ON ktrdr.operations (created_at, operation_id) WHERE completed_at IS NULL;
CREATE INDEX operations_by_owner ON ktrdr.operations (owner, created_at, operation_id) WHERE owner IS NOT NULL;
CREATE INDEX operations_by_parent ON ktrdr.operations (parent_operation_id, created_at, operation_id)
  WHERE parent_operation_id IS NOT NULL;
CREATE INDEX checkpoints_by_time ON ktrdr.checkpoints (created_at, operation_id);
)sql";

// The history of an operation: appended by every change, in its transaction.
constexpr const char* kEvents = R"sql(
CREATE TABLE ktrdr.operation_events (
  operation_id TEXT COLLATE "C" NOT NULL REFERENCES ktrdr.operations (operation_id),
  sequence BIGINT NOT NULL,
  at TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  status TEXT COLLATE "C" NOT NULL,
  attempt BIGINT NOT NULL,
  version BIGINT NOT NULL,
  worker_id TEXT COLLATE "C",
  worker_name TEXT,
  checkpoint TEXT COLLATE "C",
  message TEXT NOT NULL,
  PRIMARY KEY (operation_id, sequence)
);
)sql";

constexpr const char* kRestarts = R"sql(
ALTER TABLE ktrdr.operations ADD COLUMN restarts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ktrdr.operations ADD COLUMN restart_cause TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE ktrdr.operations ADD COLUMN restart_reason TEXT;
ALTER TABLE ktrdr.operations ADD COLUMN restarted_worker TEXT NOT NULL DEFAULT '';
ALTER TABLE ktrdr.operations ADD COLUMN failed_epoch BIGINT NOT NULL DEFAULT -1;
ALTER TABLE ktrdr.operations ADD COLUMN failed_batch BIGINT NOT NULL DEFAULT -1;
)sql";

// How many operations have a checkpoint: one of each is the current one. A commit seldom changes the attempt,
// so that it writes no index.
constexpr const char* kCheckpointTotal = R"sql(
CREATE INDEX operations_with_checkpoint ON ktrdr.operations (operation_id) WHERE checkpoint_attempt IS NOT NULL;
)sql";

constexpr Migration kMigrations[] = {{1, kTables}, {2, kCounters}, {3, kLists},
                                     {4, kEvents}, {5, kRestarts}, {6, kCheckpointTotal}};

// READ COMMITTED: whoever waited for the lock must see what its holder did. "ktrd" is the lock's number.
constexpr const char* kBegin = R"sql(
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL lock_timeout = '60s';
SET LOCAL statement_timeout = '10min';
SELECT pg_advisory_xact_lock(1802793572);
)sql";

// The comment is how we tell our schema from another program's.
constexpr const char* kSchemaVersion = R"sql(
CREATE TABLE ktrdr.schema_version (version BIGINT NOT NULL PRIMARY KEY, applied_at TEXT COLLATE "C" NOT NULL);
COMMENT ON TABLE ktrdr.schema_version IS 'ktrdr operations';
)sql";

Result<std::int64_t> number_of(PostgresConnection& connection, std::string_view sql) {
  TRY_ASSIGN(const Rows rows, connection.execute(sql, {}));
  return rows.empty() ? 0 : RowReader(rows.front()).integer();
}

// Makes what is missing of a new, empty schema, which an administrator may have made for us.
Result<void> own_schema(PostgresConnection& connection, const std::string& database) {
  TRY_ASSIGN(const std::int64_t is_ours,
             number_of(connection,
                       "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('ktrdr.schema_version')"
                       " AND obj_description(oid, 'pg_class') = 'ktrdr operations'"));
  if (is_ours == 1) return {};
  TRY_ASSIGN(const std::int64_t schemas,
             number_of(connection, "SELECT COUNT(*) FROM pg_namespace WHERE nspname = 'ktrdr'"));
  TRY_ASSIGN(
      const std::int64_t relations,
      number_of(connection, "SELECT COUNT(*) FROM pg_class WHERE relnamespace = to_regnamespace('ktrdr')"));
  if (relations > 0) {
    return Error(ErrorCode::kInvalidArgument, "The schema ktrdr of the database " + database +
                                                  " belongs to another program; name another database.");
  }
  if (schemas == 0) TRY(connection.run_script("CREATE SCHEMA ktrdr"));
  return connection.run_script(kSchemaVersion);
}

Result<void> apply(PostgresConnection& connection, const Migration& step, Clock& clock) {
  TRY(connection.run_script(step.statements));
  TRY(connection.execute("INSERT INTO ktrdr.schema_version (version, applied_at) VALUES ($1, $2)",
                         {step.version, iso8601_utc(clock.wall_ms())}));
  return {};
}

Result<void> apply_missing(PostgresConnection& connection, const std::string& database,
                           std::span<const Migration> steps, Clock& clock) {
  TRY(own_schema(connection, database));
  TRY_ASSIGN(const std::int64_t current,
             number_of(connection, "SELECT COALESCE(MAX(version), 0) FROM ktrdr.schema_version"));
  TRY(refuse_newer_schema(database, current, steps));
  for (const Migration& step : steps) {
    if (step.version > current) TRY(apply(connection, step, clock));
  }
  return {};
}

}  // namespace

std::span<const Migration> postgres_migrations() { return kMigrations; }

Result<void> migrate(PostgresConnection& connection, const std::string& database,
                     std::span<const Migration> steps, Clock& clock) {
  TRY(connection.run_script(kBegin));
  Result<void> applied = apply_missing(connection, database, steps, clock);
  if (applied.ok()) return connection.run_script("COMMIT");
  static_cast<void>(connection.run_script("ROLLBACK"));
  return applied;
}

}  // namespace ktrdr::storage
