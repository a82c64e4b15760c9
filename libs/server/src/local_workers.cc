#include "local_workers.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string_view>

#include "ktrdr/core/log.h"
#include "ktrdr/training/pinned_environment.h"

namespace ktrdr::server {
namespace {

constexpr Duration kFirstBackoff = std::chrono::milliseconds(200);
constexpr Duration kLongestBackoff = std::chrono::seconds(30);
constexpr Duration kLivedLongEnough = std::chrono::seconds(10);
constexpr int kKeepsDying = 3;  // deaths in a row
constexpr std::size_t kLogTail = 2000;
constexpr int kLockDescriptorInChild = 3;

// Ours but for the variables that lead the command line to a server (they may name another one), and what
// pins the results of a training: given from outside, it spares the worker a second start.
std::vector<std::string> worker_environment() {
  std::vector<std::string> variables;
  for (const auto& [name, value] : training::pinned_environment()) variables.push_back(name + "=" + value);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable(*entry);
    // Only the server talks to the database: its password is nobody else's business.
    if (!variable.starts_with("KTRDR_") && !variable.starts_with("PG")) variables.emplace_back(variable);
  }
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

// The last whole lines of a log that may be of any length.
std::string end_of(const std::filesystem::path& log_file) {
  std::ifstream file(log_file, std::ios::binary | std::ios::ate);
  const std::streamoff size = file.tellg();
  if (size <= 0) return "(empty)";
  const std::streamoff from = std::max<std::streamoff>(0, size - static_cast<std::streamoff>(kLogTail));
  file.seekg(from);
  std::string text(static_cast<std::size_t>(size - from), '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  return from == 0 ? text : text.substr(std::min(text.find('\n'), text.size() - 1) + 1);
}

// posix_spawn's parameters, released on every path.
struct SpawnPlan {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;

  SpawnPlan() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
};

}  // namespace

LocalWorkers::LocalWorkers(Clock& clock, DataFolder folder, std::filesystem::path program, int slots,
                           std::vector<std::string> more_arguments)
    : clock_(clock),
      folder_(std::move(folder)),
      program_(std::move(program)),
      more_arguments_(std::move(more_arguments)) {
  for (int number = 0; number < slots; ++number)
    slots_.push_back({.number = number, .backoff = kFirstBackoff});
}

void LocalWorkers::tend() {
  for (Slot& slot : slots_) {
    if (slot.pid != 0) reap(slot);
    if (slot.pid == 0 && clock_.monotonic() >= slot.next_start) start(slot);
    if (slot.pid != 0 && clock_.monotonic() - slot.started > kLivedLongEnough) slot.deaths = 0;
  }
  tell_problems();
}

void LocalWorkers::tell_problems() {
  std::vector<std::string> problems;
  for (const Slot& slot : slots_) {
    if (slot.deaths < kKeepsDying) continue;
    problems.push_back("Local worker " + std::to_string(slot.number) + " keeps dying (" +
                       std::to_string(slot.deaths) + " times in a row, the last with " + slot.last_death +
                       "); see logs/" + log_of(slot).filename().string() + " in the server's data folder.");
  }
  *problems_.lock() = std::move(problems);
}

std::filesystem::path LocalWorkers::log_of(const Slot& slot) const {
  return folder_.logs() / ("worker-" + std::to_string(slot.number) + ".log");
}

std::vector<pid_t> LocalWorkers::running() const {
  std::vector<pid_t> pids;
  for (const Slot& slot : slots_) {
    if (slot.pid != 0) pids.push_back(slot.pid);
  }
  return pids;
}

void LocalWorkers::reap(Slot& slot) {
  int status = 0;
  if (::waitpid(slot.pid, &status, WNOHANG) != slot.pid) return;
  const bool killed = WIFSIGNALED(status);
  slot.last_death = killed ? "signal " + std::to_string(WTERMSIG(status))
                           : "exit code " + std::to_string(WEXITSTATUS(status));
  log(LogLevel::kWarning, "a local worker ended and is started again",
      {{"slot", std::to_string(slot.number)}, {"pid", std::to_string(slot.pid)}, {"how", slot.last_death}});
  const bool lived = clock_.monotonic() - slot.started > kLivedLongEnough;
  slot.deaths = lived ? 1 : slot.deaths + 1;
  if (slot.deaths == kKeepsDying) {
    log(LogLevel::kError, "a local worker keeps dying",
        {{"slot", std::to_string(slot.number)}, {"how", slot.last_death}, {"its_log", end_of(log_of(slot))}});
  }
  slot.backoff = lived ? kFirstBackoff : std::min(slot.backoff * 2, kLongestBackoff);
  slot.next_start = clock_.monotonic() + slot.backoff;
  slot.pid = 0;
}

void LocalWorkers::start(Slot& slot) {
  slot.next_start = clock_.monotonic() + slot.backoff;
  const auto lock = FileLock::acquire(folder_.worker_slot(slot.number));
  if (!lock.ok()) return;  // a worker of an earlier server still lives here, which is as it should be
  const auto pid = spawn(slot, lock->descriptor());
  if (!pid.ok()) {
    slot.backoff = std::min(slot.backoff * 2, kLongestBackoff);
    log(LogLevel::kError, "a local worker could not be started", {{"error", pid.error().describe()}});
    return;
  }
  slot.pid = *pid;
  slot.started = clock_.monotonic();
  log(LogLevel::kInfo, "local worker started",
      {{"slot", std::to_string(slot.number)}, {"pid", std::to_string(*pid)}});
}

Result<pid_t> LocalWorkers::spawn(const Slot& slot, int lock_descriptor) const {
  const std::string name = "local-" + std::to_string(slot.number);
  const std::string log_file = log_of(slot);
  SpawnPlan plan;
  posix_spawn_file_actions_addopen(&plan.files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&plan.files, STDOUT_FILENO, log_file.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&plan.files, STDOUT_FILENO, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&plan.files, lock_descriptor,
                                   kLockDescriptorInChild);  // the lock lives in the child
  posix_spawn_file_actions_addclosefrom_np(&plan.files,
                                           kLockDescriptorInChild + 1);  // our sockets must not live on in it
  posix_spawnattr_setflags(&plan.attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  sigset_t none, usual;
  sigemptyset(&none);
  sigfillset(&usual);
  posix_spawnattr_setsigmask(&plan.attributes, &none);
  posix_spawnattr_setsigdefault(&plan.attributes, &usual);

  std::vector<std::string> arguments = {program_, "--data-dir", folder_.root,
                                        "--name", name,         "--exit-when-idle-alone"};
  arguments.insert(arguments.end(), more_arguments_.begin(), more_arguments_.end());
  std::vector<std::string> environment = worker_environment();
  pid_t pid = 0;
  const int status = ::posix_spawn(&pid, program_.c_str(), &plan.files, &plan.attributes,
                                   pointers(arguments).data(), pointers(environment).data());
  if (status != 0) return io_error("start the worker program", program_, status);
  return pid;
}

}  // namespace ktrdr::server
