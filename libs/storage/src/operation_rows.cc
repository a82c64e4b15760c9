#include "operation_rows.h"

namespace ktrdr::storage {
namespace {

#define KTRDR_CHECKPOINT_COLUMNS                                                                            \
  "c.attempt, c.sequence, c.parent_attempt, c.parent_sequence, c.checkpoint_type, c.epoch, c.start_epoch, " \
  "c.start_batch, c.global_step, c.created_at, c.size_bytes, c.manifest_digest, c.dropped, c.rewound_from"

#define KTRDR_SELECT_OPERATIONS                                                                         \
  "SELECT o.operation_id, o.operation_type, o.status, o.phase, o.attempt, o.version, o.owner, "         \
  "o.owner_name, "                                                                                      \
  "o.heartbeat_sequence, o.last_heartbeat_at, o.created_at, o.started_at, o.completed_at, o.metadata, " \
  "o.progress, o.error_message, o.result, o.cancel_requested, o.cancel_reason, o.last_sequence, "       \
  "o.ended_by, "                                                                                        \
  "o.model_path, o.model_sha256, o.dropped_checkpoints, o.is_backend_local, "                           \
  "o.parent_operation_id, o.restarts, o.restart_cause, o.restart_reason, o.restarted_worker, "          \
  "o.failed_epoch, o.failed_batch, " KTRDR_CHECKPOINT_COLUMNS                                           \
  " FROM operations o LEFT JOIN checkpoints c ON c.operation_id = o.operation_id"                       \
  " AND c.attempt = o.checkpoint_attempt AND c.sequence = o.checkpoint_sequence "

Error damaged(std::string_view what) {
  return {ErrorCode::kIo, "The database holds a damaged row: its " + std::string(what) +
                              " is unknown. Restore it from a backup."};
}

std::optional<CheckpointRef> ref_of(std::optional<std::int64_t> attempt,
                                    std::optional<std::int64_t> sequence) {
  if (!attempt || !sequence) return std::nullopt;
  return CheckpointRef{*attempt, *sequence};
}

// Nothing when the outer join found no checkpoint.
Result<std::optional<StoredCheckpoint>> read_checkpoint(RowReader& row) {
  StoredCheckpoint stored;
  api::CheckpointInfo& info = stored.info;
  const auto attempt = row.optional_integer(), sequence = row.optional_integer();
  const auto parent_attempt = row.optional_integer(), parent_sequence = row.optional_integer();
  const auto type = api::parse_checkpoint_type(row.text());
  info.epoch = row.optional_integer();
  info.start_epoch = row.integer();
  info.start_batch = row.integer();
  info.global_step = row.integer();
  info.created_at = row.text();
  info.size_bytes = row.integer();
  info.manifest_digest = row.text();
  stored.dropped = split_refs(row.text());
  stored.rewound_from = CheckpointRef::parse(row.text());
  const auto ref = ref_of(attempt, sequence);
  if (!ref) return std::optional<StoredCheckpoint>();
  if (!type) return damaged("checkpoint type");
  info.ref = *ref;
  info.parent = ref_of(parent_attempt, parent_sequence);
  info.checkpoint_type = *type;
  return std::optional(std::move(stored));
}

Result<StoredOperation> read_operation(const Row& cells) {
  RowReader row(cells);
  StoredOperation stored;
  api::Operation& operation = stored.operation;
  operation.operation_id = row.text();
  operation.operation_type = row.text();
  const auto status = api::parse_operation_status(row.text());
  const auto phase = api::parse_phase(row.text());
  operation.attempt = row.integer();
  operation.version = row.integer();
  operation.worker_id = row.optional_text();
  const std::string worker_name = row.text();
  stored.heartbeat_sequence = row.integer();
  operation.last_heartbeat_at = row.optional_text();
  operation.created_at = row.text();
  operation.started_at = row.optional_text();
  operation.completed_at = row.optional_text();
  TRY_ASSIGN(operation.metadata, read_stored<api::OperationMetadata>(row.text()));
  TRY_ASSIGN(operation.progress, read_stored<api::Progress>(row.text()));
  operation.error_message = row.optional_text();
  if (const auto result = row.optional_text()) {
    TRY_ASSIGN(operation.result_summary, read_stored<api::JsonText>(*result));
  }
  operation.cancel_requested = row.flag();
  stored.cancel_reason = row.text();
  stored.last_sequence = row.integer();
  const auto ended_by = parse_ending(row.text());
  stored.model_path = row.text();
  stored.model_sha256 = row.text();
  stored.dropped = split_refs(row.text());
  operation.is_backend_local = row.flag();
  operation.parent_operation_id = row.optional_text();
  if (const std::int64_t restarts = row.integer(); restarts > 0) operation.restarts = restarts;
  const auto restart_cause = parse_ending(row.text());
  operation.restart_reason = row.optional_text();
  stored.restart.worker = row.text();
  const BatchPosition failed_at{row.integer(), row.integer()};
  if (failed_at.epoch >= 0) stored.restart.failed_at = failed_at;
  TRY_ASSIGN(stored.checkpoint, read_checkpoint(row));
  if (!status || !phase || !ended_by || !restart_cause) return damaged("status");
  stored.restart.cause = *restart_cause;
  operation.status = *status;
  operation.phase = *phase;
  stored.ended_by = *ended_by;
  if (!worker_name.empty()) operation.worker_name = worker_name;
  if (stored.checkpoint) operation.checkpoint = stored.checkpoint->info;
  return stored;
}

constexpr const char* kSelectOperation = KTRDR_SELECT_OPERATIONS "WHERE o.operation_id = $1";
constexpr const char* kSelectWarnings =
    "SELECT message FROM warnings WHERE operation_id = $1 ORDER BY position";
constexpr const char* kSelectEpochs = "SELECT metrics FROM epochs WHERE operation_id = $1 ORDER BY epoch";

Result<StoredOperation> read_only_operation(const Rows& rows, const OperationId& id) {
  if (rows.empty()) return refuse_unknown(id);
  return read_operation(rows.front());
}

std::vector<std::string> read_warnings(const Rows& rows) {
  std::vector<std::string> warnings;
  for (const Row& row : rows) warnings.push_back(RowReader(row).text());
  return warnings;
}

Result<std::optional<api::OperationMetrics>> read_metrics(const Rows& rows) {
  if (rows.empty()) return std::optional<api::OperationMetrics>();
  api::OperationMetrics metrics;
  for (const Row& row : rows) {
    TRY_ASSIGN(metrics.epochs.emplace_back(), read_stored<api::EpochMetrics>(RowReader(row).text()));
  }
  return std::optional(std::move(metrics));
}

}  // namespace

Result<StoredOperation> load_row(Source& source, const OperationId& id) {
  TRY_ASSIGN(const std::vector<Rows> answers, source.select_together({{kSelectOperation, {id.value}}}));
  return read_only_operation(answers.front(), id);
}

Result<Standing> load_standing(Source& source, const OperationId& id) {
  TRY_ASSIGN(const std::vector<Rows> answers,
             source.select_together(
                 {{"SELECT status, version FROM operations WHERE operation_id = $1", {id.value}}}));
  if (answers.front().empty()) return refuse_unknown(id);
  RowReader row(answers.front().front());
  const auto status = api::parse_operation_status(row.text());
  if (!status) return damaged("status");
  return Standing{id, *status, row.integer()};
}

Result<StoredOperation> load(Source& source, const OperationId& id) {
  TRY_ASSIGN(const std::vector<Rows> answers, source.select_together({{kSelectOperation, {id.value}},
                                                                      {kSelectWarnings, {id.value}},
                                                                      {kSelectEpochs, {id.value}}}));
  TRY_ASSIGN(StoredOperation stored, read_only_operation(answers[0], id));
  stored.operation.warnings = read_warnings(answers[1]);
  TRY_ASSIGN(stored.operation.metrics, read_metrics(answers[2]));
  return stored;
}

Result<std::vector<api::Operation>> load_rows(Session& session, std::string_view rest,
                                              const std::vector<Value>& parameters) {
  TRY_ASSIGN(const Rows rows, session.execute(KTRDR_SELECT_OPERATIONS + std::string(rest), parameters));
  std::vector<api::Operation> operations;
  for (const Row& row : rows) {
    TRY_ASSIGN(StoredOperation stored, read_operation(row));
    operations.push_back(std::move(stored.operation));
  }
  return operations;
}

Result<std::vector<StoredCheckpoint>> load_checkpoints(Session& session, const OperationId& id) {
  TRY_ASSIGN(const Rows rows,
             session.execute("SELECT " KTRDR_CHECKPOINT_COLUMNS
                             " FROM checkpoints c WHERE c.operation_id = $1 ORDER BY c.sequence DESC",
                             {id.value}));
  std::vector<StoredCheckpoint> checkpoints;
  for (const Row& cells : rows) {
    RowReader row(cells);
    TRY_ASSIGN(auto checkpoint, read_checkpoint(row));
    if (checkpoint) checkpoints.push_back(std::move(*checkpoint));
  }
  return checkpoints;
}

Result<std::vector<OperationCheckpoint>> load_current_checkpoints(Session& session, std::string_view rest,
                                                                  const std::vector<Value>& parameters) {
  TRY_ASSIGN(const Rows rows,
             session.execute("SELECT o.operation_id, o.version, " KTRDR_CHECKPOINT_COLUMNS
                             " FROM checkpoints c JOIN operations o ON o.operation_id = c.operation_id"
                             " AND o.checkpoint_attempt = c.attempt AND o.checkpoint_sequence = c.sequence " +
                                 std::string(rest),
                             parameters));
  std::vector<OperationCheckpoint> current;
  for (const Row& cells : rows) {
    RowReader row(cells);
    OperationCheckpoint next{.operation = {row.text()}};
    next.operation_version = row.integer();
    TRY_ASSIGN(auto checkpoint, read_checkpoint(row));
    if (!checkpoint) return damaged("checkpoint");
    next.checkpoint = std::move(checkpoint->info);
    current.push_back(std::move(next));
  }
  return current;
}

Result<void> insert_checkpoint(Session& session, const OperationId& id, const api::CheckpointInfo& info) {
  const bool has_parent = info.parent.has_value();
  TRY(session.execute(
      "INSERT INTO checkpoints (operation_id, attempt, sequence, parent_attempt, parent_sequence,"
      " checkpoint_type, epoch, start_epoch, start_batch, global_step, created_at, size_bytes, "
      "manifest_digest)"
      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
      {id.value, info.ref.attempt, info.ref.sequence, has_parent ? Value(info.parent->attempt) : Value(),
       has_parent ? Value(info.parent->sequence) : Value(), std::string(to_string(info.checkpoint_type)),
       or_null(info.epoch), info.start_epoch, info.start_batch, info.global_step, info.created_at,
       info.size_bytes, info.manifest_digest}));
  return {};
}

Result<void> store_epochs(Session& session, const OperationId& id,
                          const std::vector<api::EpochMetrics>& epochs) {
  for (const api::EpochMetrics& epoch : epochs) {
    TRY(
        session.execute("INSERT INTO epochs (operation_id, epoch, metrics) VALUES ($1, $2, $3)"
                        " ON CONFLICT (operation_id, epoch) DO UPDATE SET metrics = excluded.metrics",
                        {id.value, epoch.epoch, api::to_json(storable(epoch))}));
  }
  return {};
}

Result<void> rewind_epochs(Session& session, const OperationId& id,
                           const std::optional<StoredCheckpoint>& checkpoint) {
  const std::int64_t last_completed = checkpoint ? checkpoint->info.epoch.value_or(-1) : -1;
  TRY(session.execute("DELETE FROM epochs WHERE operation_id = $1 AND epoch > $2",
                      {id.value, last_completed}));
  return {};
}

Result<void> add_warnings(Session& session, const OperationId& id, const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) {
    // The operation's row is locked by the change that this belongs to, so positions don't collide.
    TRY(session.execute(
        "INSERT INTO warnings (operation_id, position, message)"
        " SELECT $1, COALESCE(MAX(position), -1) + 1, $2 FROM warnings WHERE operation_id = $1"
        " HAVING NOT EXISTS (SELECT 1 FROM warnings WHERE operation_id = $1 AND message = $2)",
        {id.value, warning}));
  }
  return {};
}

}  // namespace ktrdr::storage
