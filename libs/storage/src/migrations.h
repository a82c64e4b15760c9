// The schema, as a numbered list of steps that are never edited after a release: a new need is a new step.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/result.h"

namespace ktrdr::storage {

class PostgresConnection;
class SqliteConnection;

// Step n means the same in every engine: what differs is the words.
struct Migration {
  std::int64_t version;
  const char* statements;
};

std::span<const Migration> sqlite_migrations();
std::span<const Migration> postgres_migrations();

// Brings the file to the newest of `steps`, under the write lock and in one transaction, so that two programs
// that start at once agree. Changes nothing when it is there already. kUnsupported when the file is newer
// than this program, kInvalidArgument when it belongs to another program.
Result<void> migrate(SqliteConnection& connection, const std::filesystem::path& file,
                     std::span<const Migration> steps, Clock& clock);

// The same for the schema `ktrdr` of a PostgreSQL database, under an advisory lock.
Result<void> migrate(PostgresConnection& connection, const std::string& database,
                     std::span<const Migration> steps, Clock& clock);

// kUnsupported when `current` is newer than the last of `steps`.
Result<void> refuse_newer_schema(const std::string& database, std::int64_t current,
                                 std::span<const Migration> steps);

}  // namespace ktrdr::storage
