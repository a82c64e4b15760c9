// The programs that a bench starts. Each ends with its object, and also when this program is killed.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/core/testing/temporary_folder.h"
#include "support/child_process.h"

namespace ktrdr::bench {

// Where testing::TemporaryFolder makes its folders, for as long as this lives.
class TemporaryFoldersIn {
 public:
  explicit TemporaryFoldersIn(const std::filesystem::path& place);
  ~TemporaryFoldersIn();
  TemporaryFoldersIn(const TemporaryFoldersIn&) = delete;
  TemporaryFoldersIn& operator=(const TemporaryFoldersIn&) = delete;

 private:
  std::optional<std::string> before_;
};

std::filesystem::path on_disk();    // beside the programs, which nobody keeps in memory
std::filesystem::path in_memory();  // where there is room; else on disk

using Core = std::optional<int>;  // nothing: any

// Starts a program that listens on `port`, and returns when it does.
class Listening {
 public:
  Listening(system_test::Command command, int port, Core core);
  int port() const { return port_; }
  pid_t pid() const { return process_.pid(); }

 private:
  int port_;
  system_test::ChildProcess process_;
};

int free_port();

// `ktrdr serve` without workers and without a token, on a data folder of its own.
class OurServer {
 public:
  // Empty: SQLite, in `folder`.
  OurServer(const std::string& database, const std::filesystem::path& folder, Core core = std::nullopt);
  int port() const { return server_.port(); }
  pid_t pid() const { return server_.pid(); }
  static std::filesystem::path database_file(const std::filesystem::path& folder);

 private:
  Listening server_;
};

// The same command, on this core only.
system_test::Command pinned(system_test::Command command, Core core);

}  // namespace ktrdr::bench
