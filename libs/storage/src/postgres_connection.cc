#include "postgres_connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <utility>

namespace ktrdr::storage {
namespace {

using Failure = PostgresConnection::Failure;

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultHandle = std::unique_ptr<PGresult, ClearResult>;

// ---- what an SQLSTATE means ----

struct Meaning {
  std::string_view state;  // or its first letters
  Failure failure;
  ErrorCode code;
  const char* advice;
};

constexpr const char* kAway =
    "can't be reached; check that PostgreSQL runs there and that the address is right";

// The first that fits counts.
constexpr std::array kMeanings = {
    Meaning{"40001", Failure::kConflict, ErrorCode::kUnavailable, "is too busy; try again later"},
    Meaning{"40P01", Failure::kConflict, ErrorCode::kUnavailable, "is too busy; try again later"},
    Meaning{"08", Failure::kLost, ErrorCode::kUnavailable, kAway},
    Meaning{"57P01", Failure::kLost, ErrorCode::kUnavailable, kAway},
    Meaning{"57P02", Failure::kLost, ErrorCode::kUnavailable, kAway},
    Meaning{"57P03", Failure::kLost, ErrorCode::kUnavailable, kAway},
    Meaning{"57P05", Failure::kLost, ErrorCode::kUnavailable, kAway},
    Meaning{"25P03", Failure::kLost, ErrorCode::kUnavailable, kAway},
    Meaning{"53300", Failure::kLost, ErrorCode::kUnavailable,
            "has no connection left; raise PostgreSQL's max_connections"},
    Meaning{"55P03", Failure::kStatement, ErrorCode::kUnavailable,
            "is locked by another program; try again later"},
    Meaning{"57014", Failure::kStatement, ErrorCode::kUnavailable,
            "took too long to answer; try again later"},
    Meaning{"28", Failure::kStatement, ErrorCode::kIo, "refused the login; check the user and the password"},
    Meaning{"3D000", Failure::kStatement, ErrorCode::kIo, "does not exist; create it with createdb"},
    Meaning{"42501", Failure::kStatement, ErrorCode::kIo,
            "does not let this user do that; GRANT CONNECT, CREATE ON DATABASE to it"},
    Meaning{"25006", Failure::kStatement, ErrorCode::kIo, "can only be read there; name the primary server"},
    Meaning{"53100", Failure::kStatement, ErrorCode::kIo,
            "can't grow because its disk is full; free some space"},
    Meaning{"53", Failure::kStatement, ErrorCode::kIo, "is short of resources; look into PostgreSQL's log"},
    Meaning{"58", Failure::kStatement, ErrorCode::kIo,
            "can't be read or written; look into PostgreSQL's log"},
    Meaning{"XX", Failure::kStatement, ErrorCode::kIo, "may be damaged; look into PostgreSQL's log"},
    Meaning{"22021", Failure::kStatement, ErrorCode::kInvalidArgument, "takes only text in UTF-8"},
    Meaning{"", Failure::kStatement, ErrorCode::kInternal, "refused a statement; please report this"}};

const Meaning& meaning_of(std::string_view state) {
  for (const Meaning& meaning : kMeanings) {
    if (state.starts_with(meaning.state)) return meaning;
  }
  CHECK(false, "the last row fits every state");
  return kMeanings.back();
}

Error error_of(const PostgresAddress& address, const Meaning& meaning, const char* reason) {
  return {meaning.code, "The database " + address.name() + " " + meaning.advice + " (" +
                            address.without_password(reason == nullptr ? "no reason given" : reason) + ")."};
}

// libpq says at connecting only in words what the server said.
Error connect_error(const PostgresAddress& address, const char* reason) {
  const std::string_view text = reason;
  const auto says = [&](std::string_view words) { return text.find(words) != std::string_view::npos; };
  if (says("authentication failed") || says("no password supplied") || says("pg_hba.conf") ||
      (says("role \"") && says("does not exist"))) {
    return error_of(address, meaning_of("28000"), reason);
  }
  if (says("database \"") && says("does not exist")) return error_of(address, meaning_of("3D000"), reason);
  if (says("permission denied")) return error_of(address, meaning_of("42501"), reason);
  if (says("too many clients") || says("connection slots")) {
    return error_of(address, meaning_of("53300"), reason);
  }
  return error_of(address, meaning_of("08000"), reason);
}

// ---- values ----

// Parameters as libpq takes them: texts, whose types the server infers from where they stand.
class Parameters {
 public:
  explicit Parameters(const std::vector<Value>& values) {
    texts_.reserve(values.size());  // the pointers below stay good
    for (const Value& value : values) pointers_.push_back(text_of(value));
  }

  int count() const { return static_cast<int>(pointers_.size()); }
  const char* const* data() const { return pointers_.data(); }

 private:
  const char* text_of(const Value& value) {
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      return texts_.emplace_back(std::to_string(*number)).c_str();
    }
    const auto* text = std::get_if<std::string>(&value);
    return text == nullptr ? nullptr : text->c_str();
  }

  std::vector<std::string> texts_;
  std::vector<const char*> pointers_;
};

bool holds_nul(const std::vector<Value>& values) {
  for (const Value& value : values) {
    const auto* text = std::get_if<std::string>(&value);
    if (text != nullptr && text->find('\0') != std::string::npos) return true;
  }
  return false;
}

// The server's numbers for its types (pg_type): int8, int2, int4, and numeric, which SUM answers with.
bool is_number(Oid type) { return type == 20 || type == 21 || type == 23 || type == 1700; }

Value cell(const PGresult& result, int row, int column) {
  if (PQgetisnull(&result, row, column) != 0) return {};
  const std::string_view text(PQgetvalue(&result, row, column),
                              static_cast<std::size_t>(PQgetlength(&result, row, column)));
  std::int64_t number = 0;
  if (is_number(PQftype(&result, column))) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return number;
  }
  return std::string(text);
}

Rows rows_of(const PGresult& result) {
  Rows rows(static_cast<std::size_t>(PQntuples(&result)));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (int column = 0; column < PQnfields(&result); ++column) {
      rows[row].push_back(cell(result, static_cast<int>(row), column));
    }
  }
  return rows;
}

// ---- a new session ----

std::string milliseconds(Duration duration) { return std::to_string(duration.count()); }

// One statement: what we ask of the server, then what we set. synchronous_commit is only ever raised:
// remote_apply promises more than `on`. set_config's `false` means: for the whole session.
constexpr const char* kBeginSession = R"sql(
SELECT CAST(current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' AS INT),
  CAST(current_setting('server_encoding') = 'UTF8' AS INT),
  CAST(CAST(current_setting('server_version_num') AS INT) >= 150000 AS INT),
  CAST(NOT pg_is_in_recovery() AS INT),
  set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')
    THEN 'on' ELSE current_setting('synchronous_commit') END, false),
  set_config('search_path', 'ktrdr, pg_temp', false),
  set_config('jit', 'off', false),
  set_config('default_transaction_isolation', 'repeatable read', false),
  set_config('default_transaction_read_only', $1, false),
  set_config('lock_timeout', $2, false),
  set_config('statement_timeout', $3, false),
  set_config('idle_in_transaction_session_timeout', $4, false)
)sql";

struct Requirement {
  ErrorCode code;
  const char* advice;
};

// In the order of the first columns of kBeginSession.
constexpr std::array kRequirements = {
    Requirement{ErrorCode::kUnsupported,
                "may lose what it acknowledged; set fsync = on and full_page_writes = on in postgresql.conf"},
    Requirement{ErrorCode::kUnsupported, "is not in UTF-8; create it with createdb --encoding=UTF8"},
    Requirement{ErrorCode::kUnsupported, "is on a server older than PostgreSQL 15; upgrade it"},
    Requirement{ErrorCode::kUnavailable, "is on a standby server; name the primary server"}};

Result<void> check_requirements(const PostgresAddress& address, const Row& facts) {
  RowReader row(facts);
  for (const Requirement& requirement : kRequirements) {
    if (row.flag()) continue;
    return Error(requirement.code, "The database " + address.name() + " " + requirement.advice + ".");
  }
  return {};
}

bool succeeded(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

void drop_notice(void*, const PGresult*) {}  // ours say nothing that an answer does not

}  // namespace

void PostgresConnection::CloseConnection::operator()(pg_conn* connection) const { PQfinish(connection); }

Result<std::unique_ptr<PostgresConnection>> PostgresConnection::open(const PostgresAddress& address, Use use,
                                                                     const PostgresTimeouts& timeouts) {
  std::vector<const char*> keys, values;
  for (const auto& [key, value] : address.options()) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  constexpr int kNoUriInDbname = 0;
  pg_conn* const raw = PQconnectdbParams(keys.data(), values.data(), kNoUriInDbname);
  std::unique_ptr<PostgresConnection> connection(new PostgresConnection(address, timeouts, raw));
  if (PQstatus(raw) != CONNECTION_OK) return connect_error(address, PQerrorMessage(raw));
  TRY(connection->set_up(use));
  return connection;
}

Result<void> PostgresConnection::set_up(Use use) {
  pg_conn* const raw = connection_.get();
  PQsetNoticeReceiver(raw, drop_notice, nullptr);
  constexpr int kNonblocking = 1;
  const bool is_ready = PQsetnonblocking(raw, kNonblocking) == 0 && PQenterPipelineMode(raw) == 1;
  if (!is_ready) return error_of(address_, meaning_of("08000"), PQerrorMessage(raw));
  TRY_ASSIGN(const Rows rows,
             execute(kBeginSession, {use == Use::kReading ? "on" : "off", milliseconds(timeouts_.lock),
                                     milliseconds(timeouts_.statement), milliseconds(2 * timeouts_.answer)}));
  return check_requirements(address_, rows.front());
}

void PostgresConnection::begin() {
  forget_failure();
  send("BEGIN", {});
  is_in_transaction_ = true;
}

void PostgresConnection::forget_failure() {
  failure_.reset();
  error_.reset();
}

Result<Rows> PostgresConnection::execute(std::string_view sql, const std::vector<Value>& parameters) {
  send_checked(sql, parameters);
  TRY_ASSIGN(std::vector<Rows> all, answers());
  return all.empty() ? Rows() : std::move(all.back());
}

Result<std::vector<Rows>> PostgresConnection::select_together(const std::vector<Query>& queries) {
  for (const Query& query : queries) send_checked(query.sql, query.parameters);
  TRY_ASSIGN(std::vector<Rows> all, answers());
  CHECK(all.size() == queries.size(), "every SELECT answers with rows, and nothing else was sent with them");
  return all;
}

// What is sent before one synchronisation point is one transaction, and reads from one snapshot.
Result<std::vector<Rows>> PostgresConnection::select_alone(const std::vector<Query>& queries) {
  CHECK(!is_in_transaction_, "it would be part of the transaction");
  forget_failure();
  return select_together(queries);
}

void PostgresConnection::send_checked(std::string_view sql, const std::vector<Value>& parameters) {
  if (holds_nul(parameters)) {
    fail(Failure::kStatement,
         Error(ErrorCode::kInvalidArgument, "The database takes no text with a NUL character; remove it."));
  }
  send(sql, parameters);
}

Result<void> PostgresConnection::commit() {
  TRY(outcome());
  send("COMMIT", {});
  TRY(answers());
  is_in_transaction_ = false;
  return {};
}

// Nobody waits for it; the locks are free as soon as it arrives.
void PostgresConnection::roll_back() {
  is_in_transaction_ = false;
  if (failure_ == Failure::kLost) return;
  forget_failure();
  send("ROLLBACK", {});
  if (PQpipelineSync(connection_.get()) != 1) return lose();
  ++awaited_;
  if (PQflush(connection_.get()) < 0) lose();
}

Result<void> PostgresConnection::outcome() const {
  if (error_) return *error_;
  return {};
}

void PostgresConnection::send(std::string_view sql, const std::vector<Value>& parameters) {
  if (failure_) return;
  const Parameters values(parameters);
  constexpr int kText = 0;
  const auto found = statements_.find(sql);
  const bool sent = found == statements_.end()
                        ? prepare_and_send(sql, values.count(), values.data())
                        : PQsendQueryPrepared(connection_.get(), found->second.c_str(), values.count(),
                                              values.data(), nullptr, nullptr, kText) == 1;
  if (!sent) lose();
}

bool PostgresConnection::prepare_and_send(std::string_view sql, int count, const char* const* values) {
  const std::string text(sql), name = "s" + std::to_string(++names_);
  constexpr int kNoTypes = 0, kText = 0;
  sent_.insert_or_assign(text, name);
  return PQsendPrepare(connection_.get(), name.c_str(), text.c_str(), kNoTypes, nullptr) == 1 &&
         PQsendQueryPrepared(connection_.get(), name.c_str(), count, values, nullptr, nullptr, kText) == 1;
}

// The rows of each statement that selects or returns some, after everything that was sent succeeded.
Result<std::vector<Rows>> PostgresConnection::answers() {
  TRY(outcome());
  std::vector<Rows> all;
  if (PQpipelineSync(connection_.get()) != 1) lose();
  else ++awaited_;
  if (!failure_) read_until_synchronised(all);
  // Whether a statement of a failed batch was prepared is not worth knowing: it gets a new name next time.
  if (!failure_) statements_.merge(sent_);
  sent_.clear();
  TRY(outcome());
  return all;
}

void PostgresConnection::read_until_synchronised(std::vector<Rows>& answers) {
  while (awaited_ > 0) {
    if (!wait_for_input()) return lose();
    const ResultHandle result(PQgetResult(connection_.get()));
    if (result) take(*result, answers);
    else if (PQstatus(connection_.get()) != CONNECTION_OK) return lose();
  }
}

void PostgresConnection::take(const pg_result& result, std::vector<Rows>& answers) {
  switch (PQresultStatus(&result)) {
    case PGRES_PIPELINE_SYNC: --awaited_; break;
    case PGRES_TUPLES_OK: answers.push_back(rows_of(result)); break;
    case PGRES_COMMAND_OK: break;
    case PGRES_PIPELINE_ABORTED: break;  // the statement before it failed, and said why
    default: fail_with(result);
  }
}

// False when the connection was lost, or the server said nothing for longer than its own timeouts allow.
bool PostgresConnection::wait_for_input() {
  const SystemClock clock;
  const Duration deadline = clock.monotonic() + timeouts_.answer;
  while (PQisBusy(connection_.get()) == 1) {
    const int unsent = PQflush(connection_.get());
    if (unsent < 0) return false;
    const auto events = static_cast<short>(unsent > 0 ? POLLIN | POLLOUT : POLLIN);
    pollfd waiting{PQsocket(connection_.get()), events, 0};
    const Duration left = deadline - clock.monotonic();
    if (left <= Duration(0)) return false;
    const int ready = poll(&waiting, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno != EINTR) return false;
    if (ready > 0 && PQconsumeInput(connection_.get()) != 1) return false;
  }
  return true;
}

void PostgresConnection::fail(Failure failure, Error error) {
  const bool is_worse = failure == Failure::kLost && failure_ != Failure::kLost;
  if (failure_ && !is_worse) return;  // the first one is the cause
  failure_ = failure;
  error_ = std::move(error);
}

void PostgresConnection::lose() {
  const std::string_view reason = PQerrorMessage(connection_.get());
  fail(Failure::kLost, error_of(address_, meaning_of("08006"),
                                reason.empty() ? "the server does not answer" : reason.data()));
}

void PostgresConnection::fail_with(const pg_result& result) {
  const char* state = PQresultErrorField(&result, PG_DIAG_SQLSTATE);
  const Meaning& meaning = meaning_of(state == nullptr ? "08006" : state);
  // Without the server's details: they hold values of rows.
  fail(meaning.failure, error_of(address_, meaning, PQresultErrorField(&result, PG_DIAG_MESSAGE_PRIMARY)));
}

Result<void> PostgresConnection::run_script(const std::string& sql) {
  pg_conn* const raw = connection_.get();
  if (PQexitPipelineMode(raw) != 1) return error_of(address_, meaning_of("08006"), PQerrorMessage(raw));
  const ResultHandle result(PQexec(raw, sql.c_str()));
  const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
  if (succeeded(result.get()) && PQenterPipelineMode(raw) == 1) return {};
  const Error error = error_of(address_, meaning_of(state == nullptr ? "08006" : state),
                               PQresultErrorField(result.get(), PG_DIAG_MESSAGE_PRIMARY));
  PQenterPipelineMode(raw);  // a lost connection refuses this, and every statement after it
  return error;
}

}  // namespace ktrdr::storage
