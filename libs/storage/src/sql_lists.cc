#include <algorithm>

#include "operation_rows.h"
#include "sql_operations_repository.h"

namespace ktrdr::storage {
namespace {

constexpr std::int64_t kLongestPage = 1000;

// A WHERE clause that grows, with its parameters.
struct Filter {
  std::string sql = "1 = 1";
  std::vector<Value> parameters;

  std::string next(Value value) {
    parameters.push_back(std::move(value));
    return "$" + std::to_string(parameters.size());
  }
  void equals(const std::string& column, Value value) {
    sql += " AND " + column + " = " + next(std::move(value));
  }
  // Keyset: the place itself is excluded. Reading from an index costs the same on every page.
  void comes_after(const std::string& columns, const PageKey& place) {
    const std::string time = next(place.created_at);
    sql += " AND (" + columns + ") < (" + time + ", " + next(place.operation_id) + ")";
  }
};

// In columns that both operations and status_counts have.
Filter counted(const ListQuery& query) {
  Filter filter;
  if (query.active_only) filter.sql = "status IN ('pending', 'running')";
  if (query.status) filter.equals("status", std::string(to_string(*query.status)));
  if (query.operation_type) filter.equals("operation_type", *query.operation_type);
  return filter;
}

Filter selected(const ListQuery& query) {
  Filter filter = counted(query);
  if (query.active_only) filter.sql += " AND completed_at IS NULL";  // the condition of the partial index
  if (query.worker) filter.equals("owner", query.worker->value);
  return filter;
}

Result<std::int64_t> number(Session& session, const std::string& sql, const Filter& filter) {
  TRY_ASSIGN(const Rows rows, session.execute(sql + filter.sql, filter.parameters));
  return RowReader(rows.front()).integer();
}

// From the counters: counting a million rows takes 118 ms. No counter knows of workers, but an index does.
Result<std::int64_t> count(Session& session, const ListQuery& query) {
  if (query.worker) return number(session, "SELECT COUNT(*) FROM operations WHERE ", selected(query));
  return number(session, "SELECT COALESCE(SUM(operations), 0) FROM status_counts WHERE ", counted(query));
}

std::int64_t page_length(std::int64_t limit) { return std::clamp<std::int64_t>(limit, 0, kLongestPage); }

// The page's own rows are found in an index first; only they are then read.
Result<std::vector<api::Operation>> rows_of_page(Session& session, const ListQuery& query) {
  Filter filter = selected(query);
  if (query.after) filter.comes_after("created_at, operation_id", *query.after);
  const std::string limit = filter.next(page_length(query.limit) + 1);
  const std::string offset = filter.next(std::max<std::int64_t>(query.offset, 0));
  return load_rows(session,
                   "WHERE o.operation_id IN (SELECT operation_id FROM operations WHERE " + filter.sql +
                       " ORDER BY created_at DESC, operation_id DESC LIMIT " + limit + " OFFSET " + offset +
                       ") ORDER BY o.created_at DESC, o.operation_id DESC",
                   filter.parameters);
}

PageKey place_of(const api::Operation& operation) { return {operation.created_at, operation.operation_id}; }
PageKey place_of(const OperationCheckpoint& current) {
  return {current.checkpoint.created_at, current.operation.value};
}

// One row more than the page was read: it only says that there is a next page.
template <class Item>
std::optional<PageKey> cut(std::vector<Item>& items, std::int64_t limit) {
  const auto length = static_cast<std::size_t>(page_length(limit));
  if (items.size() <= length) return std::nullopt;
  items.erase(items.begin() + static_cast<std::ptrdiff_t>(length), items.end());
  if (items.empty()) return std::nullopt;
  return place_of(items.back());
}

// Each operation has one current checkpoint, so without a bound an index of the operations knows their
// number.
Result<std::int64_t> count(Session& session, const CheckpointQuery& query) {
  if (!query.created_before)
    return number(session, "SELECT COUNT(*) FROM operations WHERE checkpoint_attempt IS NOT NULL AND ", {});
  Filter filter;
  filter.sql = "c.created_at < " + filter.next(*query.created_before);
  return number(session,
                "SELECT COUNT(*) FROM checkpoints c JOIN operations o ON o.operation_id = c.operation_id"
                " AND o.checkpoint_attempt = c.attempt AND o.checkpoint_sequence = c.sequence WHERE ",
                filter);
}

// Where the page begins: after both bounds. They become one, or SQLite would seek by the time alone and read
// all that lies between it and the place.
std::optional<PageKey> beginning(const CheckpointQuery& query) {
  if (!query.created_before) return query.after;
  const PageKey bound{*query.created_before, ""};  // before every operation of that moment
  return query.after ? std::min(*query.after, bound) : bound;
}

}  // namespace

Result<OperationPage> SqlOperationsRepository::list(const ListQuery& query) {
  return read_job<OperationPage>(*database_, [&](Session& session) -> Result<OperationPage> {
    OperationPage page;
    TRY_ASSIGN(page.total_count, count(session, query));
    TRY_ASSIGN(page.active_count, count(session, {.active_only = true}));
    TRY_ASSIGN(page.operations, rows_of_page(session, query));
    page.next = cut(page.operations, query.limit);
    return page;
  });
}

Result<std::vector<api::Operation>> SqlOperationsRepository::children(const OperationId& id) {
  using Operations = std::vector<api::Operation>;
  return read_job<Operations>(*database_, [&](Session& session) -> Result<Operations> {
    TRY(load_row(session, id));
    return load_rows(session, "WHERE o.parent_operation_id = $1 ORDER BY o.created_at, o.operation_id",
                     {id.value});
  });
}

Result<CheckpointPage> SqlOperationsRepository::list_checkpoints(const CheckpointQuery& query) {
  return read_job<CheckpointPage>(*database_, [&](Session& session) -> Result<CheckpointPage> {
    CheckpointPage page;
    if (query.with_total) {
      TRY_ASSIGN(page.total_count, count(session, query));
    }
    Filter filter;
    if (const auto place = beginning(query)) filter.comes_after("c.created_at, c.operation_id", *place);
    const std::string limit = filter.next(page_length(query.limit) + 1);
    TRY_ASSIGN(page.checkpoints,
               load_current_checkpoints(
                   session,
                   "WHERE " + filter.sql + " ORDER BY c.created_at DESC, c.operation_id DESC LIMIT " + limit,
                   filter.parameters));
    page.next = cut(page.checkpoints, query.limit);
    return page;
  });
}

Result<CheckpointTotals> SqlOperationsRepository::checkpoint_totals() {
  return read_job<CheckpointTotals>(*database_, [](Session& session) -> Result<CheckpointTotals> {
    TRY_ASSIGN(const Rows rows,
               session.execute("SELECT COUNT(DISTINCT operation_id), COUNT(*),"
                               " CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT), MIN(created_at)"
                               " FROM checkpoints",
                               {}));
    RowReader row(rows.front());
    CheckpointTotals totals{.operations = row.integer()};
    totals.checkpoints = row.integer();
    totals.size_bytes = row.integer();
    totals.oldest_created_at = row.optional_text();
    return totals;
  });
}

}  // namespace ktrdr::storage
