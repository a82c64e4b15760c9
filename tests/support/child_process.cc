#include "support/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "ktrdr/core/check.h"
#include "ktrdr/core/testing/temporary_folder.h"

namespace ktrdr::system_test {
namespace {

std::vector<std::string> merged_environment(const Command& command) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) merged.emplace_back(*entry);
  for (const auto& [name, value] : command.environment) merged.push_back(name + "=" + value);
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

pid_t spawn(const Command& command, const std::filesystem::path& out, const std::filesystem::path& err) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  std::vector<std::string> arguments = {command.program};
  arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
  std::vector<std::string> environment = merged_environment(command);
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, command.program.c_str(), &files, nullptr, pointers(arguments).data(),
                                 pointers(environment).data());
  posix_spawn_file_actions_destroy(&files);
  CHECK(failed == 0, "the programs under test were built");
  return pid;
}

std::string content(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

}  // namespace

ChildProcess::ChildProcess(const Command& command)
    : pid_(spawn(command, command.output.empty() ? "/dev/null" : command.output,
                 command.output.empty() ? "/dev/null" : command.output)) {}

ChildProcess::~ChildProcess() { kill_and_reap(); }

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), status_(std::exchange(other.status_, 0)) {}

void ChildProcess::signal(int number) const {
  if (!status_ && pid_ > 0) ::kill(pid_, number);
}

bool ChildProcess::is_running() { return !wait(Duration(0)); }

std::optional<int> ChildProcess::wait(Duration timeout) {
  eventually(
      [this] {
        int status = 0;
        if (status_ || pid_ == 0) return true;
        if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
        status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        return true;
      },
      timeout);
  return status_;
}

void ChildProcess::kill_and_reap() {
  if (pid_ == 0 || status_) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  status_ = 128 + SIGKILL;
}

Finished run(Command command, Duration timeout) {
  const testing::TemporaryFolder folder;
  struct Capture {
    std::filesystem::path out, err;
  } capture{folder / "out", folder / "err"};
  const pid_t pid = spawn(command, capture.out, capture.err);
  int status = 0;
  const bool ended = eventually([&] { return ::waitpid(pid, &status, WNOHANG) == pid; }, timeout);
  if (!ended) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, &status, 0);
  }
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), content(capture.out),
          content(capture.err)};
}

void pause_between_looks() { ::poll(nullptr, 0, 5); }

}  // namespace ktrdr::system_test
