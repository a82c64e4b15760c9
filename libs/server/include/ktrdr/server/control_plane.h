// The control plane as one object: store, services, loops, local workers and the HTTP server, wired together.
//
//   TRY_ASSIGN(auto server, ControlPlane::start(clock, options));
//   ... wait for SIGTERM ...
//   server->stop();   // refuses new work, flushes, ends; workers train on
//
// Owned by main() or a test. start() and stop() are called by one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/log.h"
#include "ktrdr/core/result.h"

namespace ktrdr::server {

struct ServeOptions {
  std::filesystem::path data_dir;
  std::string address = "127.0.0.1";
  std::uint16_t port = 8000;               // 0: any free one
  std::vector<std::string> allowed_hosts;  // names by which others reach this server, besides `address`
  bool require_token = true;               // --no-auth: only on a loopback address
  int local_workers = 1;
  Duration lease = std::chrono::seconds(10);
  int max_restarts = 0;  // of an operation, by itself, since a person started or resumed it
  // Empty: SQLite in the data folder. "postgresql://...": a store that several servers may share. "memory:":
  // cache-only mode, nothing outlives this process.
  std::string database;
  std::vector<std::string> peers;  // URLs of the other servers of the database, for the local workers
  std::string
      checkpoints;  // a folder or s3://bucket/prefix; empty: <data_dir>/checkpoints. Shared by servers
  LogFormat log_format = LogFormat::kText;      // of the local workers, too
  std::int64_t checkpoint_max_age_days = 30;    // older ones of operations that are not live go, once a day
  std::optional<std::filesystem::path> models;  // default: <data_dir>/models
  std::optional<std::filesystem::path> market_data;     // default: <data_dir>/market
  std::optional<std::filesystem::path> strategies;      // default: <data_dir>/strategies
  std::optional<std::filesystem::path> worker_program;  // default: ktrdr-worker beside this program
};

class ControlPlane {
 public:
  // Ready to answer when this returns: folders, token, database, loops and the port. kConflict when another
  // server uses the data folder or the port; kInvalidArgument for options that make no sense.
  static Result<std::unique_ptr<ControlPlane>> start(Clock& clock, const ServeOptions& options);
  ~ControlPlane();  // stops

  const std::string& url() const;
  void stop();

 private:
  struct Parts;
  explicit ControlPlane(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace ktrdr::server
