// A PostgreSQL server of a test's own: its data lies in a temporary folder, its only door is a socket in
// there, so that any number of test programs may run at once. It syncs as in production.
//
//   PostgresCluster cluster;
//   cluster.create_database("ops");
//   open_postgres_repository(cluster.uri("ops"), clock);
//
// Where the test runs as root, the server runs as the user `postgres`. It ends with this object, and also
// when the program that holds it is killed. Create it in a thread that lives as long. Whatever fails, a
// missing PostgreSQL included, ends the test program with the reason: such a test must never be skipped.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "ktrdr/core/testing/temporary_folder.h"

namespace ktrdr::storage::testing {

class PostgresCluster {
 public:
  // What postgresql.conf would say: {"fsync=off"}.
  using Settings = std::vector<std::string>;

  PostgresCluster();  // creates the cluster and starts it: about a second
  ~PostgresCluster();
  PostgresCluster(const PostgresCluster&) = delete;
  PostgresCluster& operator=(const PostgresCluster&) = delete;

  // The one that the tests of this program share, started at its first use. Ends with the program.
  static PostgresCluster& shared();

  // `user` needs no password, except for users made with create_user().
  std::string uri(const std::string& database, const std::string& user = "postgres") const;
  void create_database(const std::string& name, const std::string& template_name = "template0");
  void drop_database(const std::string& name);  // also when it is in use
  void create_user(const std::string& name, const std::string& password);
  // What psql prints: columns parted by |, a row a line.
  std::string query(const std::string& database, const std::string& sql) const;

  void stop();    // in order, as systemctl does
  void kill();    // SIGKILL to every process of it at once
  void freeze();  // SIGSTOP to every process of it: it takes and answers nothing
  void thaw();
  void start(const Settings& settings = {});  // after stop() or kill(); recovers what is to be recovered
  pid_t pid() const { return server_; }

 private:
  std::vector<std::string> server_command(const Settings& settings) const;
  bool is_ready() const;
  std::string log() const;

  ktrdr::testing::TemporaryFolder folder_;
  pid_t server_ = -1;
};

}  // namespace ktrdr::storage::testing
