// One connection to PostgreSQL: RAII over libpq, prepared statements kept by their text, errors as values.
// Used by one thread at a time.
//
// It stays in libpq's pipeline mode, so that what needs no answer of its own travels with the next statement:
// BEGIN with the first one of the transaction, the preparation of a statement with its first use, and
// ROLLBACK with whatever comes next.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "database.h"
#include "ktrdr/core/clock.h"
#include "postgres_address.h"

struct pg_conn;
struct pg_result;

namespace ktrdr::storage {

// Every wait has a bound: the server's own first, and ours for a server that is frozen.
struct PostgresTimeouts {
  Duration lock{5'000};
  Duration statement{8'000};
  Duration answer{9'000};  // less than a lease: a frozen database must not look like silent workers
};

class PostgresConnection final : public Session {
 public:
  enum class Use { kWriting, kReading };

  // What the first failure of a transaction means to whoever may run it again.
  enum class Failure {
    kConflict,  // another transaction came first: nothing was changed, the same may work now
    kLost,      // the connection is of no use any more
    kStatement  // the statement failed, and would fail again
  };

  // kUnavailable when the server can't be reached; kUnsupported when it may lose what it acknowledged.
  static Result<std::unique_ptr<PostgresConnection>> open(const PostgresAddress& address, Use use,
                                                          const PostgresTimeouts& timeouts = {});

  // A transaction: begin(), any number of execute(), then commit() or roll_back().
  void begin();
  // After a failure every further statement of the transaction fails in the same way.
  Result<Rows> execute(std::string_view sql, const std::vector<Value>& parameters) override;
  Result<std::vector<Rows>> select_together(const std::vector<Query>& queries) override;
  // The same as a transaction of its own, outside of any other: one message there and one back.
  Result<std::vector<Rows>> select_alone(const std::vector<Query>& queries);
  // When it fails with failure() kLost, only the server knows whether the transaction was committed.
  Result<void> commit();
  void roll_back();

  // Of the transaction so far.
  std::optional<Failure> failure() const { return failure_; }
  Result<void> outcome() const;

  // Several statements without parameters; what they select is dropped. For migrations.
  Result<void> run_script(const std::string& sql);

 private:
  struct CloseConnection {
    void operator()(pg_conn* connection) const;
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Statements = std::unordered_map<std::string, std::string, TextHash, std::equal_to<>>;

  PostgresConnection(PostgresAddress address, const PostgresTimeouts& timeouts, pg_conn* connection)
      : address_(std::move(address)), timeouts_(timeouts), connection_(connection) {}

  Result<void> set_up(Use use);
  void forget_failure();
  void send(std::string_view sql, const std::vector<Value>& parameters);
  bool prepare_and_send(std::string_view sql, int count, const char* const* values);
  void send_checked(std::string_view sql, const std::vector<Value>& parameters);
  Result<std::vector<Rows>> answers();
  void read_until_synchronised(std::vector<Rows>& answers);
  void take(const pg_result& result, std::vector<Rows>& answers);
  bool wait_for_input();
  void fail(Failure failure, Error error);
  void lose();
  void fail_with(const pg_result& result);

  PostgresAddress address_;
  PostgresTimeouts timeouts_;
  std::unique_ptr<pg_conn, CloseConnection> connection_;
  Statements statements_;  // SQL text -> name on the server
  Statements sent_;        // not known yet to have been prepared
  int names_ = 0;
  int awaited_ = 0;  // synchronisation points whose answers were not read yet
  bool is_in_transaction_ = false;
  std::optional<Failure> failure_;
  std::optional<Error> error_;
};

}  // namespace ktrdr::storage
