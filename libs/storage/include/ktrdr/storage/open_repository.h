// Which store: the table from a database's name to what opens it.
//
//   ""                    SQLite, in `default_file`
//   postgresql://..       PostgreSQL, shared by any number of servers (postgres:// is the same)
//   memory:               no store: nothing outlives this process (the seed's cache-only mode)
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/result.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::storage {

// kInvalidArgument for any other name; otherwise what the store says. `clock` must outlive the repository.
Result<std::unique_ptr<OperationsRepository>> open_repository(const std::string& database,
                                                              const std::filesystem::path& default_file,
                                                              Clock& clock);

}  // namespace ktrdr::storage
