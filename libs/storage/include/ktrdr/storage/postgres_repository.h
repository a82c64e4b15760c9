// The operations table in a PostgreSQL database: the store that several servers may share.
#pragma once

#include <memory>
#include <string>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/result.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::storage {

// Connects to `uri` (postgresql://user:password@host:port/database?option=value, as libpq reads it) and
// brings the schema `ktrdr` in that database to the newest; several servers that start at once agree.
// Everything that was acknowledged survives a crash of this program, of PostgreSQL and a power cut of either
// machine. A connection that is lost is opened again by itself: a change whose commit had not been asked for
// is done again on it, for a few seconds; when the answer to the commit itself is lost, that change fails
// with kIo, because only asking again tells whether it was made. Safe from any thread. `clock` must outlive
// the repository; it makes the timestamps in the rows. Destroy the repository only when no thread is calling
// it any more.
//
// Fails with kUnavailable when the server can't be reached, kIo when it refuses the login or there is no such
// database, kInvalidArgument for a URI that can't be read or a schema `ktrdr` of another program,
// kUnsupported for a schema of a newer ktrdr, or a server that may lose what it acknowledged (fsync = off).
// No message holds the password.
Result<std::unique_ptr<OperationsRepository>> open_postgres_repository(const std::string& uri, Clock& clock);

}  // namespace ktrdr::storage
