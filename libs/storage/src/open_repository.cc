#include "ktrdr/storage/open_repository.h"

#include "ktrdr/storage/memory_repository.h"
#include "ktrdr/storage/postgres_repository.h"
#include "ktrdr/storage/sqlite_repository.h"

namespace ktrdr::storage {
namespace {

// Twice SQLite's log at its usual largest (1,000 pages), so that it can grow to where it is emptied.
constexpr std::uint64_t kReserve = 8 << 20;

}  // namespace

Result<std::unique_ptr<OperationsRepository>> open_repository(const std::string& database,
                                                              const std::filesystem::path& default_file,
                                                              Clock& clock) {
  if (database.empty()) return open_sqlite_repository(default_file, clock, kReserve);
  if (database == "memory:") return make_memory_repository(clock);
  if (database.starts_with("postgresql://") || database.starts_with("postgres://")) {
    return open_postgres_repository(database, clock);
  }
  // Its text is not repeated: it may hold a password.
  return Error(ErrorCode::kInvalidArgument,
               "--database must be postgresql://USER@HOST/NAME or memory: (without it, SQLite is used).");
}

}  // namespace ktrdr::storage
