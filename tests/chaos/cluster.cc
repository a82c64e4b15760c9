#include "cluster.h"

#include <signal.h>

#include <fstream>

#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/ids.h"
#include "recipes.h"

namespace ktrdr::chaos {
namespace {

namespace fs = std::filesystem;
using system_test::ChildProcess;
using system_test::Command;

constexpr int kDiskMegabytes = 32;
constexpr Duration kPauseAfterAnEnd = std::chrono::milliseconds(300);
constexpr const char* kFakeTime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsSanitized = true;  // a preloaded library comes before the sanitizer's, which refuses that
#else
constexpr bool kIsSanitized = false;
#endif

bool can_fake_time() { return !kIsSanitized && fs::exists(kFakeTime); }

fs::path program(const std::string& name) { return fs::path(KTRDR_PROGRAMS) / name; }

std::string first_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

// Whoever kills this program leaves nothing behind.
Command ends_with_us(const Command& command) {
  Command wrapped = command;
  wrapped.program = "/usr/bin/setpriv";
  wrapped.arguments = {"--pdeathsig", "KILL", command.program};
  wrapped.arguments.insert(wrapped.arguments.end(), command.arguments.begin(), command.arguments.end());
  return wrapped;
}

// libfaketime leaves these behind when its process is killed, and the next process of that number fails.
void remove_shared_clock_of(pid_t pid) {
  std::error_code was_not_there;
  fs::remove("/dev/shm/faketime_shm_" + std::to_string(pid), was_not_there);
  fs::remove("/dev/shm/sem.faketime_sem_" + std::to_string(pid), was_not_there);
}

void write_whole(const fs::path& file, const std::string& text) {
  CHECK(replace_file_durably(file, text, 0600).ok(), "tests can write their own folder");
}

void make_mistakes(Command& command, const std::string& sql_edits) {
  std::string preloaded = KTRDR_SQL_EDITS_LIBRARY;
  for (auto& [name, value] : command.environment) {
    if (name == "LD_PRELOAD") preloaded = std::exchange(value, "") + ":" + preloaded;
  }
  std::erase_if(command.environment, [](const auto& variable) { return variable.first == "LD_PRELOAD"; });
  command.environment.insert(command.environment.end(),
                             {{"LD_PRELOAD", preloaded}, {"KTRDR_SQL_EDITS", sql_edits}});
}

bool server_knows(const std::string& option) {
  return system_test::run({.program = program("ktrdr"), .arguments = {"serve", "--help"}}).out.find(option) !=
         std::string::npos;
}

}  // namespace

// ---- Member ----

Member::Member(std::string name, Command command, fs::path address_file, Score& score)
    : name_(std::move(name)),
      command_(ends_with_us(command)),
      address_file_(std::move(address_file)),
      score_(score) {}

Member::~Member() {
  if (process_) kill();
}

void Member::start() {
  wanted_ = true;
  if (process_) return;
  if (!address_file_.empty()) fs::remove(address_file_);
  process_ = std::make_unique<ChildProcess>(command_);
  ready_ = address_file_.empty();
}

void Member::kill() {
  wanted_ = ready_ = frozen_ = false;
  if (!process_) return;
  process_->kill_and_reap();
  remove_shared_clock_of(process_->pid());
  process_.reset();
}

void Member::freeze() {
  frozen_ = true;
  process_->signal(SIGSTOP);
}

void Member::thaw() {
  frozen_ = false;
  if (process_) process_->signal(SIGCONT);
}

void Member::tend() {
  if (process_ && !process_->is_running()) note_its_end();
  if (!process_ && wanted_ && clock_.monotonic() >= start_again_at_) start();
  if (process_ && !ready_) read_address();
}

// A server may give up at its start while the database is away; nothing else ends by itself.
void Member::note_its_end() {
  const int code = process_->wait(Duration(0)).value_or(-1);
  if (ready_) score_.wrong(Count::kStrangeAnswers, name_ + " ended by itself with " + std::to_string(code));
  remove_shared_clock_of(process_->pid());
  process_.reset();
  ready_ = frozen_ = false;
  start_again_at_ = clock_.monotonic() + kPauseAfterAnEnd;
}

void Member::read_address() {
  const std::string url = first_line(address_file_);
  if (url.empty()) return;
  port_ = std::stoi(url.substr(url.rfind(':') + 1));
  ready_ = true;
}

// ---- Cluster ----

Cluster::Cluster(Score& score, const ClusterOptions& options)
    : token_(random_hex(32)), score_(score), can_partition_(!options.no_partitions) {
  if (options.no_partitions) score.impossible(Fault::kWorkerPartitioned, *options.no_partitions);
  if (options.no_mounts) score.impossible(Fault::kDiskFull, *options.no_mounts);
  else disk_.emplace(testing::SmallDisk::Kind::kMemory, kDiskMegabytes);
  if (!can_fake_time()) score.impossible(Fault::kClockJumped, "no libfaketime");
  restarts_by_itself_ = options.max_restarts > 0 && server_knows("--max-restarts");
  write_market(market());
  database_.create_database(kDatabase);
  const std::string uri = database_.uri(kDatabase);
  for (auto& link : database_links_) {
    link.forward_to(fs::path(uri.substr(uri.find("host=") + 5)) / ".s.PGSQL.5432");
  }
  for (std::size_t i = 0; i < kServers; ++i) add_server(i, options);
  for (std::size_t i = 0; i < kWorkers; ++i) add_worker(i);
}

Cluster::~Cluster() {
  for (auto* members : {&workers_, &servers_}) {
    for (auto& member : *members) member->kill();
  }
}

fs::path Cluster::prepared_data_dir(const std::string& name) const {
  const fs::path data_dir = folder_ / name;
  fs::create_directories(data_dir);
  write_whole(data_dir / "token", token_ + "\n");
  return data_dir;
}

Command Cluster::with_a_clock(const std::string& name, Command command) const {
  command.output = folder_ / (name + ".log");
  if (!can_fake_time()) return command;
  const fs::path clock = folder_ / (name + ".clock");
  write_whole(clock, "+0\n");
  command.environment = {{"LD_PRELOAD", kFakeTime},
                         {"FAKETIME_DONT_FAKE_MONOTONIC", "1"},
                         {"NO_FAKE_STAT", "1"},
                         {"FAKETIME_TIMESTAMP_FILE", clock},
                         {"FAKETIME_CACHE_DURATION", "1"}};
  return command;
}

void Cluster::add_server(std::size_t i, const ClusterOptions& options) {
  const std::string name = "server-" + std::to_string(i);
  const fs::path data_dir = prepared_data_dir(name);
  Command command{
      .program = program("ktrdr"),
      .arguments = {"serve", "--data-dir", data_dir, "--port", "0", "--local-workers", "0", "--lease-seconds",
                    std::to_string(kLease / std::chrono::seconds(1)), "--database",
                    "postgresql://postgres@127.0.0.1:" + std::to_string(database_links_[i].port()) + "/" +
                        kDatabase + "?sslmode=disable",
                    "--checkpoints", checkpoints(), "--models", folder_ / "models"}};
  if (restarts_by_itself_) {
    command.arguments.insert(command.arguments.end(),
                             {"--max-restarts", std::to_string(options.max_restarts)});
  }
  for (std::size_t worker = 0; worker < kWorkers; ++worker)
    command.arguments.insert(command.arguments.end(), {"--allow-host", address_of_worker(worker)});
  command = with_a_clock(name, std::move(command));
  if (!options.sql_edits.empty()) make_mistakes(command, options.sql_edits);
  servers_.push_back(std::make_unique<Member>(name, std::move(command), data_dir / "server.url", score_));
  servers_.back()->start();
}

void Cluster::add_worker(std::size_t i) {
  const std::string name = "worker-" + std::to_string(i);
  const std::string address = address_of_worker(i);
  for (std::size_t server = 0; server < kServers; ++server)
    worker_links_[i].emplace_back(address).count_answers_with("\"STALE\"");
  Command command{.program = program("ktrdr-worker"),
                  .arguments = {"--data-dir", prepared_data_dir(name), "--name", name, "--address", address,
                                "--url", worker_links_[i][i % kServers].url(), "--peer",
                                worker_links_[i][(i + 1) % kServers].url(), "--checkpoints", checkpoints(),
                                "--models", folder_ / "models"}};
  workers_.push_back(
      std::make_unique<Member>(name, with_a_clock(name, std::move(command)), fs::path(), score_));
  workers_.back()->start();
}

bool Cluster::can_jump() const { return can_fake_time(); }

void Cluster::set_clock(std::size_t member, std::int64_t seconds) {
  const std::string name = member < kServers ? servers_[member]->name() : workers_[member - kServers]->name();
  write_whole(folder_ / (name + ".clock"), (seconds < 0 ? "" : "+") + std::to_string(seconds) + "\n");
}

void Cluster::tend() {
  for (auto& worker : workers_) worker->tend();
  for (std::size_t i = 0; i < kServers; ++i) {
    servers_[i]->tend();
    people_links_[i].forward_to(servers_[i]->port());
    for (auto& links : worker_links_) links[i].forward_to(servers_[i]->port());
  }
}

bool Cluster::is_ready() const {
  for (const auto* members : {&workers_, &servers_}) {
    for (const auto& member : *members) {
      if (!member->is_ready()) return false;
    }
  }
  return true;
}

}  // namespace ktrdr::chaos
