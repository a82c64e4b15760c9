#include "ktrdr/storage/testing/postgres_cluster.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

namespace ktrdr::storage::testing {
namespace {

using Command = std::vector<std::string>;
constexpr std::chrono::seconds kLongestStart(60);

[[noreturn]] void give_up(const std::string& reason) {
  std::fprintf(stderr, "PostgresCluster: %s\n", reason.c_str());
  std::abort();
}

std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The newest version that is installed.
std::filesystem::path binaries() {
  std::vector<std::filesystem::path> versions;
  std::error_code none_there;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", none_there)) {
    if (std::filesystem::exists(version.path() / "bin" / "initdb"))
      versions.push_back(version.path() / "bin");
  }
  if (versions.empty()) give_up("there is no PostgreSQL in /usr/lib/postgresql; install postgresql-15.");
  return *std::max_element(versions.begin(), versions.end());
}

std::string binary(const std::string& name) { return binaries() / name; }

// PostgreSQL refuses to run as root.
const passwd* unprivileged_user() {
  if (geteuid() != 0) return nullptr;
  const passwd* user = getpwnam("postgres");
  if (user == nullptr) give_up("there is no user postgres; install postgresql-15.");
  return user;
}

struct Child {
  const passwd* user = nullptr;           // nullptr: as we are
  std::string output_file = "/dev/null";  // what it prints is added there
  bool ends_with_us = false;
};

[[noreturn]] void become(const Command& command, const Child& child, pid_t parent) {
  const int out = open(child.output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (out < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0) _exit(126);
  close_range(3, ~0U, 0);
  if (child.user != nullptr && (setgid(child.user->pw_gid) != 0 || setuid(child.user->pw_uid) != 0))
    _exit(126);
  // After setuid, which clears it. SIGQUIT makes a server end at once, with its shared memory.
  if (child.ends_with_us && (prctl(PR_SET_PDEATHSIG, SIGQUIT) != 0 || getppid() != parent)) _exit(126);
  if (chdir("/") != 0) _exit(126);
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  _exit(127);
}

pid_t spawn(const Command& command, const Child& child) {
  const pid_t us = getpid(), pid = fork();
  if (pid < 0) give_up("cannot start " + command[0]);
  if (pid == 0) become(command, child, us);
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

void run(const Command& command, const Child& child) {
  if (wait_for(spawn(command, child)) == 0) return;
  give_up(command[0] + " failed: " + content_of(child.output_file));
}

std::vector<pid_t> children_of(pid_t pid) {
  const std::string task = "/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children";
  std::istringstream text(content_of(task));
  return {std::istream_iterator<pid_t>(text), {}};
}

}  // namespace

PostgresCluster::PostgresCluster() {
  const passwd* user = unprivileged_user();
  if (user != nullptr && chown(folder_.path().c_str(), user->pw_uid, user->pw_gid) != 0)
    give_up("chown failed");
  // A language's order of text as the default: a query that relies on the order of bytes must say so.
  run({binary("initdb"), "--no-sync", "--username=postgres", "--auth=trust", "--encoding=UTF8",
       "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en",
       "--pgdata=" + (folder_ / "data").string()},
      {.user = user, .output_file = folder_ / "initdb.log"});
  std::ofstream(folder_ / "data" / "pg_hba.conf")
      << "local all +guarded scram-sha-256\nlocal all all trust\n";
  start();
  query("postgres", "CREATE ROLE guarded");
}

PostgresCluster::~PostgresCluster() {
  if (server_ < 0) return;
  ::kill(server_, SIGQUIT);  // at once, and with its shared memory
  wait_for(server_);
}

PostgresCluster& PostgresCluster::shared() {
  static PostgresCluster cluster;
  return cluster;
}

std::string PostgresCluster::uri(const std::string& database, const std::string& user) const {
  return "postgresql://" + user + "@/" + database + "?host=" + folder_.path().string();
}

void PostgresCluster::create_database(const std::string& name, const std::string& template_name) {
  query("postgres", "CREATE DATABASE " + name + " TEMPLATE " + template_name);
}

void PostgresCluster::drop_database(const std::string& name) {
  query("postgres", "DROP DATABASE IF EXISTS " + name + " WITH (FORCE)");
}

void PostgresCluster::create_user(const std::string& name, const std::string& password) {
  query("postgres", "CREATE ROLE " + name + " LOGIN SUPERUSER PASSWORD '" + password + "' IN ROLE guarded");
}

std::string PostgresCluster::query(const std::string& database, const std::string& sql) const {
  const ktrdr::testing::TemporaryFolder answer;
  const std::string file = answer / "answer";
  run({binary("psql"), "--no-psqlrc", "--tuples-only", "--no-align", "--quiet", "--set=ON_ERROR_STOP=1",
       "--command=" + sql, uri(database)},
      {.output_file = file});
  return content_of(file);
}

void PostgresCluster::stop() {
  ::kill(server_, SIGINT);
  wait_for(server_);
  server_ = -1;
}

void PostgresCluster::kill() {
  ::kill(server_, SIGSTOP);  // no more children from here
  for (const pid_t child : children_of(server_)) ::kill(child, SIGKILL);
  ::kill(server_, SIGKILL);
  wait_for(server_);
  server_ = -1;
}

void PostgresCluster::freeze() {
  ::kill(server_, SIGSTOP);
  for (const pid_t child : children_of(server_)) ::kill(child, SIGSTOP);
}

void PostgresCluster::thaw() {
  for (const pid_t child : children_of(server_)) ::kill(child, SIGCONT);
  ::kill(server_, SIGCONT);
}

// Again, where the processes of a server that was killed are not all gone yet.
void PostgresCluster::start(const Settings& settings) {
  const auto deadline = std::chrono::steady_clock::now() + kLongestStart;
  const Child child{unprivileged_user(), folder_ / "server.log", true};
  while (!is_ready()) {
    if (server_ > 0 && waitpid(server_, nullptr, WNOHANG) == server_) server_ = -1;
    if (server_ < 0) server_ = spawn(server_command(settings), child);
    if (std::chrono::steady_clock::now() > deadline) give_up("the server does not start: " + log());
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

std::vector<std::string> PostgresCluster::server_command(const Settings& settings) const {
  Command command = {binary("postgres"), "-D", folder_ / "data", "-k", folder_.path()};
  Settings all = {"listen_addresses=",   "shared_buffers=32MB",
                  "max_wal_size=64MB",   "dynamic_shared_memory_type=mmap",
                  "max_connections=100", "log_min_messages=fatal"};
  all.insert(all.end(), settings.begin(), settings.end());
  for (const std::string& setting : all) command.insert(command.end(), {"-c", setting});
  return command;
}

// Its eighth line says so, under the number of the process on the first.
bool PostgresCluster::is_ready() const {
  std::istringstream lines(content_of(folder_ / "data" / "postmaster.pid"));
  std::string line, first;
  std::getline(lines, first);
  for (int number = 2; number <= 8; ++number) std::getline(lines, line);
  return server_ > 0 && first == std::to_string(server_) && line.starts_with("ready");
}

std::string PostgresCluster::log() const { return content_of(folder_ / "server.log"); }

}  // namespace ktrdr::storage::testing
