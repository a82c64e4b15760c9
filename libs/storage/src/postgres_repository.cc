#include "ktrdr/storage/postgres_repository.h"

#include "postgres_database.h"
#include "sql_operations_repository.h"

namespace ktrdr::storage {

Result<std::unique_ptr<OperationsRepository>> open_postgres_repository(const std::string& uri, Clock& clock) {
  TRY_ASSIGN(std::unique_ptr<Database> database, PostgresDatabase::open(uri, clock));
  return std::unique_ptr<OperationsRepository>(
      std::make_unique<SqlOperationsRepository>(std::move(database), clock));
}

}  // namespace ktrdr::storage
