#include "sqlite_connection.h"

#include <sqlite3.h>

namespace ktrdr::storage {
namespace {

struct Failure {
  ErrorCode code;
  const char* advice;
};

Failure describe(int status) {
  switch (status & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return {ErrorCode::kUnavailable, "is locked by another program; try again later"};
    case SQLITE_FULL: return {ErrorCode::kIo, "can't grow because the disk is full; free some space"};
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return {ErrorCode::kIo, "is damaged or not a database; name another file or restore a backup"};
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      return {ErrorCode::kIo, "can't be opened for writing; check the folder and its permissions"};
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL: return {ErrorCode::kIo, "can't be read or written; check the disk"};
    default: return {ErrorCode::kInternal, "refused a statement; please report this"};
  }
}

int bind(sqlite3_stmt* statement, int index, const Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) {
    return sqlite3_bind_int64(statement, index, *number);
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    return sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  return sqlite3_bind_null(statement, index);
}

// By name, because SQLite numbers $2 before $1 when it meets it first.
int bind_all(sqlite3_stmt* statement, const std::vector<Value>& parameters) {
  CHECK(sqlite3_bind_parameter_count(statement) == static_cast<int>(parameters.size()),
        "a statement gets exactly the parameters that it names");
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::string name = "$" + std::to_string(i + 1);
    const int index = sqlite3_bind_parameter_index(statement, name.c_str());
    CHECK(index > 0, "parameters are numbered from $1 without gaps");
    if (const int status = bind(statement, index, parameters[i]); status != SQLITE_OK) return status;
  }
  return SQLITE_OK;
}

Value cell(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER: return static_cast<std::int64_t>(sqlite3_column_int64(statement, column));
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
      return std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, column)));
    }
    default: return {};
  }
}

Row current_row(sqlite3_stmt* statement) {
  Row row;
  const int columns = sqlite3_column_count(statement);
  row.reserve(static_cast<std::size_t>(columns));
  for (int column = 0; column < columns; ++column) row.push_back(cell(statement, column));
  return row;
}

// Gives a statement back to the cache whatever happened: an open statement would hold its transaction open.
struct ResetAtEnd {
  sqlite3_stmt* statement;
  ~ResetAtEnd() {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
};

}  // namespace

void SqliteConnection::CloseDatabase::operator()(sqlite3* database) const { sqlite3_close(database); }
void SqliteConnection::FinalizeStatement::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Result<std::unique_ptr<SqliteConnection>> SqliteConnection::open(const std::filesystem::path& file,
                                                                 Duration busy_timeout) {
  sqlite3* database = nullptr;
  const int status =
      sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<SqliteConnection> connection(new SqliteConnection(file, database));
  if (status != SQLITE_OK) return connection->failure(status);
  sqlite3_extended_result_codes(database, 1);
  sqlite3_busy_timeout(database, static_cast<int>(busy_timeout.count()));
  // FULL: with WAL and NORMAL, a power cut loses acknowledged rows.
  TRY(connection->run_script(
      "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
      "PRAGMA cell_size_check = ON;"));
  return connection;
}

Result<Rows> SqliteConnection::execute(std::string_view sql, const std::vector<Value>& parameters) {
  TRY_ASSIGN(sqlite3_stmt* const statement, prepared(sql));
  const ResetAtEnd reset{statement};
  if (const int status = bind_all(statement, parameters); status != SQLITE_OK) return failure(status);
  Rows rows;
  int status = sqlite3_step(statement);
  for (; status == SQLITE_ROW; status = sqlite3_step(statement)) rows.push_back(current_row(statement));
  if (status != SQLITE_DONE) return failure(status);
  return rows;
}

Result<void> SqliteConnection::run_script(const std::string& sql) {
  const int status = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (status != SQLITE_OK) return failure(status);
  return {};
}

bool SqliteConnection::in_transaction() const { return sqlite3_get_autocommit(database_.get()) == 0; }

bool SqliteConnection::last_sync_failed() const {
  const int status = sqlite3_extended_errcode(database_.get());
  return status == SQLITE_IOERR_FSYNC || status == SQLITE_IOERR_DIR_FSYNC;
}

Result<sqlite3_stmt*> SqliteConnection::prepared(std::string_view sql) {
  if (const auto found = statements_.find(sql); found != statements_.end()) return found->second.get();
  sqlite3_stmt* statement = nullptr;
  const int status = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (status != SQLITE_OK) return failure(status);
  statements_.emplace(sql, Statement(statement));
  return statement;
}

Error SqliteConnection::failure(int status) {
  // The shared memory beside the log is grown before a commit, and says so in its own way.
  disk_was_full_ = disk_was_full_ || (status & 0xff) == SQLITE_FULL || status == SQLITE_IOERR_SHMSIZE;
  const auto [code, advice] = describe(status);
  const char* reason = database_ ? sqlite3_errmsg(database_.get()) : sqlite3_errstr(status);
  return Error(code, "The database " + file_.string() + " " + advice + " (" + reason + ").");
}

}  // namespace ktrdr::storage
