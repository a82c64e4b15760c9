// The seam between our statements and a database engine. The statements (sql_*.cc) use $1..$n and only what
// SQLite and PostgreSQL both understand; what differs (DDL, locking, group commit) is behind this interface.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ktrdr/core/result.h"

namespace ktrdr::storage {

// NULL, a number or a text: all that our columns hold. Flags are the numbers 0 and 1.
using Value = std::variant<std::monostate, std::int64_t, std::string>;
using Row = std::vector<Value>;
using Rows = std::vector<Row>;

template <class T>
Value or_null(const std::optional<T>& value) {
  return value ? Value(*value) : Value();
}

// Reads a row's columns from left to right. A cell of another kind than asked for (only damage can cause
// that) reads as 0, "" or nothing: the codec of the row then refuses it.
class RowReader {
 public:
  explicit RowReader(const Row& row) : row_(row) {}

  std::int64_t integer() { return optional_integer().value_or(0); }
  bool flag() { return integer() != 0; }
  std::string text() { return optional_text().value_or(""); }
  std::optional<std::int64_t> optional_integer() { return next<std::int64_t>(); }
  std::optional<std::string> optional_text() { return next<std::string>(); }

 private:
  template <class T>
  std::optional<T> next() {
    CHECK(column_ < row_.size(), "the statement selects every column that its mapping reads");
    const T* value = std::get_if<T>(&row_[column_++]);
    return value == nullptr ? std::nullopt : std::optional<T>(*value);
  }

  const Row& row_;
  std::size_t column_ = 0;
};

struct Query {
  std::string_view sql;
  std::vector<Value> parameters;
  bool operator==(const Query&) const = default;
};

class Source {
 public:
  virtual ~Source() = default;
  // The rows of each SELECT, none of which needs the answer of another, all from one consistent state: a
  // server elsewhere is asked once.
  virtual Result<std::vector<Rows>> select_together(const std::vector<Query>& queries) = 0;
};

// Runs statements inside one transaction. Belongs to the thread that runs the job.
class Session : public Source {
 public:
  // `parameters` are $1..$n in order. kIo when the database failed, kUnavailable when it is locked.
  virtual Result<Rows> execute(std::string_view sql, const std::vector<Value>& parameters) = 0;
  Result<std::vector<Rows>> select_together(const std::vector<Query>& queries) override {
    std::vector<Rows> answers;
    for (const Query& query : queries) {
      TRY_ASSIGN(answers.emplace_back(), execute(query.sql, query.parameters));
    }
    return answers;
  }
};

using Job = std::function<Result<void>(Session&)>;

// Safe from any thread; every call blocks until the database answered.
class Database : public Source {
 public:
  // All of the job's statements take effect, durably before this returns, or (when the job returns an error)
  // none. A job must be repeatable: it may be run again after a conflict inside the engine.
  virtual Result<void> write(const Job& job) = 0;
  // The job sees one consistent state, and everything that was acknowledged before the call.
  virtual Result<void> read(const Job& job) = 0;
  // A reading job that is one question: to be preferred, because the questions of several callers can be
  // asked together.
  Result<std::vector<Rows>> select_together(const std::vector<Query>& queries) override;
};

// The same for jobs that return a value: job(Session&) -> Result<T>.
template <class T, class TypedJob>
Result<T> run_job(Database& database, Result<void> (Database::*how)(const Job&), TypedJob job) {
  std::optional<T> answer;
  TRY((database.*how)([&](Session& session) -> Result<void> {
    TRY_ASSIGN(answer, job(session));
    return {};
  }));
  return std::move(*answer);
}

template <class T, class TypedJob>
Result<T> write_job(Database& database, TypedJob job) {
  return run_job<T>(database, &Database::write, std::move(job));
}

template <class T, class TypedJob>
Result<T> read_job(Database& database, TypedJob job) {
  return run_job<T>(database, &Database::read, std::move(job));
}

inline Result<std::vector<Rows>> Database::select_together(const std::vector<Query>& queries) {
  return read_job<std::vector<Rows>>(*this,
                                     [&](Session& session) { return session.select_together(queries); });
}

}  // namespace ktrdr::storage
