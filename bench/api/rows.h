// Operations by the thousand, made by SQL: through the repository a million would take minutes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "ktrdr/storage/operations_repository.h"
#include "ktrdr/storage/testing/postgres_cluster.h"

namespace ktrdr::bench {

// Failed at attempt 1, with a checkpoint. `store` is asked as a worker would.
void add_failed(storage::OperationsRepository& store, const std::string& id);

// Copies of that operation, in words that both stores understand: op_1000001 and on. `template_id` must be
// one of add_failed().
std::string failed_copies(const std::string& template_id, int count);

// One second after the other, of all statuses (for SQLite): few are pending or running, as in a store that
// has been in use for years.
std::string years_of_operations(const std::string& template_id, int count);

std::string copy_id(int number);  // from 1
std::string copy_time(int number);

void run_in_sqlite(const std::filesystem::path& file, const std::string& sql);

// Without triggers and syncs, indexes last, and counted once at the end: for thousands of rows or a million.
// Nobody writes meanwhile (to SQLite: nobody has it open); only a bench may lose what it wrote.
void fill_sqlite(const std::filesystem::path& file, const std::string& sql);
void fill_postgres(const storage::testing::PostgresCluster& cluster, const std::string& database,
                   const std::string& sql);

}  // namespace ktrdr::bench
