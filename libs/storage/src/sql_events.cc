#include "sql_events.h"

#include <algorithm>

#include "refusals.h"
#include "sql_operations_repository.h"

namespace ktrdr::storage {
namespace {

#define KTRDR_EVENT_COLUMNS \
  "sequence, at, kind, status, attempt, version, worker_id, worker_name, checkpoint, message"

constexpr const char* kNewest = "SELECT " KTRDR_EVENT_COLUMNS
                                " FROM operation_events WHERE operation_id = $1"
                                " ORDER BY sequence DESC LIMIT $2";
constexpr const char* kAfter = "SELECT " KTRDR_EVENT_COLUMNS
                               " FROM operation_events WHERE operation_id = $1 AND sequence > $3"
                               " ORDER BY sequence LIMIT $2";
constexpr const char* kHead =
    "SELECT o.status, (SELECT COALESCE(MAX(sequence), 0) FROM operation_events e"
    " WHERE e.operation_id = o.operation_id) FROM operations o WHERE o.operation_id = $1";
constexpr const char* kLastSequence =
    "SELECT COALESCE(MAX(sequence), 0) FROM operation_events WHERE operation_id = $1";

Error damaged() { return {ErrorCode::kIo, "The database holds a damaged event. Restore it from a backup."}; }

Result<api::OperationEvent> read_event(const Row& cells) {
  RowReader row(cells);
  api::OperationEvent event;
  event.sequence = row.integer();
  event.at = row.text();
  const auto kind = api::parse_event_kind(row.text());
  const auto status = api::parse_operation_status(row.text());
  event.attempt = row.integer();
  event.version = row.integer();
  event.worker_id = row.optional_text();
  event.worker_name = row.optional_text();
  event.checkpoint = CheckpointRef::parse(row.text());
  event.message = row.text();
  if (!kind || !status) return damaged();
  event.kind = *kind;
  event.status = *status;
  return event;
}

Result<std::vector<api::OperationEvent>> read_events(const Rows& rows) {
  std::vector<api::OperationEvent> events;
  for (const Row& row : rows) {
    TRY_ASSIGN(events.emplace_back(), read_event(row));
  }
  return events;
}

Query query_of(const OperationId& id, const EventQuery& query) {
  const std::int64_t limit = std::clamp<std::int64_t>(query.limit, 0, kMostEvents);
  if (!query.after) return {kNewest, {id.value, limit}};
  return {kAfter, {id.value, limit, *query.after}};
}

Result<std::int64_t> insert_event(Session& session, const std::string& id, const api::OperationEvent& event) {
  TRY_ASSIGN(
      const Rows rows,
      session.execute(
          "INSERT INTO operation_events (operation_id, " KTRDR_EVENT_COLUMNS
          ") VALUES ($1, COALESCE((SELECT sequence FROM operation_events WHERE operation_id = $1"
          " ORDER BY sequence DESC LIMIT 1), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING sequence",
          {id, event.at, std::string(to_string(event.kind)), std::string(to_string(event.status)),
           event.attempt, event.version, or_null(event.worker_id), or_null(event.worker_name),
           event.checkpoint ? Value(event.checkpoint->to_string()) : Value(), event.message}));
  return RowReader(rows.front()).integer();
}

}  // namespace

Result<void> append_event(Session& session, const StoredOperation& row, Event event, const std::string& now) {
  const api::OperationEvent entry = entry_of(row, std::move(event), now);
  const std::string& id = row.operation.operation_id;
  TRY_ASSIGN(const std::int64_t sequence, insert_event(session, id, entry));
  const std::int64_t pushed_out = sequence - kEventsBehindACheckpoint;
  if (entry.kind != api::EventKind::kCheckpoint || pushed_out < 1) return {};
  // It looks at few rows: what the commit before pushed out is gone.
  TRY(session.execute(
      "DELETE FROM operation_events WHERE operation_id = $1 AND kind = 'checkpoint' AND sequence <= $2",
      {id, pushed_out}));
  return {};
}

Result<EventPage> SqlOperationsRepository::events(const OperationId& id, const EventQuery& query) {
  TRY_ASSIGN(const std::vector<Rows> answers,
             database_->select_together({{kHead, {id.value}}, query_of(id, query)}));
  if (answers[0].empty()) return refuse_unknown(id);
  RowReader head(answers[0].front());
  const auto status = api::parse_operation_status(head.text());
  if (!status) return damaged();
  EventPage page{.status = *status, .last_sequence = head.integer()};
  TRY_ASSIGN(page.events, read_events(answers[1]));
  if (!query.after) std::reverse(page.events.begin(), page.events.end());
  return page;
}

Result<std::vector<std::int64_t>> SqlOperationsRepository::last_events(const std::vector<OperationId>& ids) {
  if (ids.empty()) return std::vector<std::int64_t>{};
  std::vector<Query> queries;
  for (const OperationId& id : ids) queries.push_back({kLastSequence, {id.value}});
  TRY_ASSIGN(const std::vector<Rows> answers, database_->select_together(queries));
  std::vector<std::int64_t> numbers;
  for (const Rows& rows : answers) numbers.push_back(RowReader(rows.front()).integer());
  return numbers;
}

}  // namespace ktrdr::storage
