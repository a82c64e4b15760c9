// One connection to an SQLite file: RAII over the C API, prepared statements kept by their text, errors as
// values. Used by one thread at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "database.h"
#include "ktrdr/core/clock.h"

struct sqlite3;
struct sqlite3_stmt;

namespace ktrdr::storage {

class SqliteConnection final : public Session {
 public:
  // The file must exist. Sets the pragmas that every connection needs, not the journal mode.
  static Result<std::unique_ptr<SqliteConnection>> open(const std::filesystem::path& file,
                                                        Duration busy_timeout);

  Result<Rows> execute(std::string_view sql, const std::vector<Value>& parameters) override;

  // Several statements without parameters; what they select is dropped.
  Result<void> run_script(const std::string& sql);

  bool in_transaction() const;
  // After a failed statement: fsync failed, so the page cache may show what the disk has lost.
  bool last_sync_failed() const;
  // The failure before found no space; asking forgets it.
  bool disk_was_full() { return std::exchange(disk_was_full_, false); }

 private:
  struct CloseDatabase {
    void operator()(sqlite3* database) const;
  };
  struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const;
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

  SqliteConnection(std::filesystem::path file, sqlite3* database)
      : file_(std::move(file)), database_(database) {}

  Result<sqlite3_stmt*> prepared(std::string_view sql);
  Error failure(int status);

  std::filesystem::path file_;
  std::unique_ptr<sqlite3, CloseDatabase> database_;
  bool disk_was_full_ = false;
  std::unordered_map<std::string, Statement, TextHash, std::equal_to<>>
      statements_;  // closed before database_
};

}  // namespace ktrdr::storage
