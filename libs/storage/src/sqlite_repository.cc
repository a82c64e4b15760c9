#include "ktrdr/storage/sqlite_repository.h"

#include "sql_operations_repository.h"
#include "sqlite_database.h"

namespace ktrdr::storage {

Result<std::unique_ptr<OperationsRepository>> open_sqlite_repository(const std::filesystem::path& file,
                                                                     Clock& clock,
                                                                     std::uint64_t reserve_bytes) {
  TRY_ASSIGN(std::unique_ptr<Database> database,
             SqliteDatabase::open(file, clock, {.reserve_bytes = reserve_bytes}));
  return std::unique_ptr<OperationsRepository>(
      std::make_unique<SqlOperationsRepository>(std::move(database), clock));
}

}  // namespace ktrdr::storage
