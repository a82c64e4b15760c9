// The schema, as a numbered list of steps that are never edited after a release: a new need is a new step.
#pragma once

#include <span>
#include <string>

#include "ktrdr/core/clock.h"
#include "sqlite_connection.h"

namespace ktrdr::storage {

struct Migration {
  std::int64_t version;
  const char* statements;
};

std::span<const Migration> sqlite_migrations();

// Brings the file to the newest of `steps`, under the write lock and in one transaction, so that two programs
// that start at once agree. Changes nothing when it is there already. kUnsupported when the file is newer
// than this program, kInvalidArgument when it belongs to another program.
Result<void> migrate(SqliteConnection& connection, const std::filesystem::path& file,
                     std::span<const Migration> steps, Clock& clock);

}  // namespace ktrdr::storage
