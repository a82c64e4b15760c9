// The system under test: one PostgreSQL, two servers and three workers as real processes, with a proxy on
// every way between them. Used by one thread, but for the links' addresses.
#pragma once

#include <array>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ktrdr/core/testing/small_disk.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/storage/testing/postgres_cluster.h"
#include "score.h"
#include "support/child_process.h"
#include "support/fault_proxy.h"

namespace ktrdr::chaos {

constexpr std::size_t kServers = 2, kWorkers = 3;
constexpr Duration kLease = std::chrono::seconds(2);

// A process that is started again whenever it should be up and isn't.
class Member {
 public:
  // `address_file`: where the program writes its URL when it is ready; empty: it is ready at once.
  Member(std::string name, system_test::Command command, std::filesystem::path address_file, Score& score);
  ~Member();
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  const std::string& name() const { return name_; }
  pid_t pid() const { return process_ ? process_->pid() : 0; }
  bool is_ready() const { return ready_ && !frozen_; }
  int port() const { return port_; }  // of the last one that was ready

  void kill();
  void start();
  void freeze();
  void thaw();
  // Starts it again when it ended; finds out whether it is ready. Call often.
  void tend();

 private:
  void note_its_end();
  void read_address();

  const std::string name_;
  const system_test::Command command_;
  const std::filesystem::path address_file_;
  Score& score_;
  SystemClock clock_;
  std::unique_ptr<system_test::ChildProcess> process_;
  bool wanted_ = false, ready_ = false, frozen_ = false;
  int port_ = 0;
  Duration start_again_at_{0};
};

struct ClusterOptions {
  int max_restarts = 0;                      // used when the server knows the option
  std::optional<std::string> no_mounts;      // why nothing can be mounted
  std::optional<std::string> no_partitions;  // why no packet can be dropped
  std::string sql_edits;                     // the servers' mistake: see mutant.h
};

class Cluster {
 public:
  Cluster(Score& score, const ClusterOptions& options);
  ~Cluster();

  storage::testing::PostgresCluster& database() { return database_; }
  static constexpr const char* kDatabase = "operations";

  Member& server(std::size_t i) { return *servers_[i]; }
  Member& worker(std::size_t i) { return *workers_[i]; }
  testing::SmallDisk* disk() {
    return disk_ ? &*disk_ : nullptr;
  }  // of the checkpoints; null: can't be filled
  system_test::FaultProxy& worker_link(std::size_t worker, std::size_t server) {
    return worker_links_[worker][server];
  }
  // Where a worker listens, and its own ends of its links: whoever speaks with it uses this address.
  static std::string address_of_worker(std::size_t worker) { return "127.0.1." + std::to_string(worker + 1); }
  bool can_partition() const { return can_partition_; }  // else no address can be cut off
  system_test::FaultProxy& database_link(std::size_t server) { return database_links_[server]; }
  system_test::FaultProxy& people_link(std::size_t server) { return people_links_[server]; }

  // Moves the wall clock of one process (servers first, then workers) to `seconds` from the true time.
  void set_clock(std::size_t member, std::int64_t seconds);
  bool can_jump() const;  // else its clocks are the true ones
  bool restarts_by_itself() const { return restarts_by_itself_; }

  void tend();
  bool is_ready() const;  // every process, not whether they found each other

  const std::string& token() const { return token_; }
  std::filesystem::path market() const { return folder_ / "market"; }
  std::filesystem::path checkpoints() const {
    return (disk_ ? disk_->path() : folder_.path()) / "checkpoints";
  }
  std::filesystem::path folder() const { return folder_.path(); }

 private:
  void add_server(std::size_t i, const ClusterOptions& options);
  void add_worker(std::size_t i);
  system_test::Command with_a_clock(const std::string& name, system_test::Command command) const;
  std::filesystem::path prepared_data_dir(const std::string& name) const;

  testing::TemporaryFolder folder_;
  const std::string token_;
  Score& score_;
  storage::testing::PostgresCluster database_;
  std::optional<testing::SmallDisk> disk_;
  const bool can_partition_;
  bool restarts_by_itself_ = false;
  std::array<system_test::FaultProxy, kServers> database_links_, people_links_;
  std::array<std::deque<system_test::FaultProxy>, kWorkers> worker_links_;
  std::vector<std::unique_ptr<Member>> servers_, workers_;
};

}  // namespace ktrdr::chaos
