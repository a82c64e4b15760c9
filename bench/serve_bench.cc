// How long `ktrdr serve` takes from its start to the line that says it is ready, with an empty store: a new
// data folder each time. The median of several rounds after a warm-up.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "ktrdr/core/check.h"
#include "ktrdr/core/testing/temporary_folder.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWarmUps = 2;
constexpr int kRounds = 9;
constexpr double kBoundMs = 100;

// Starts a server whose standard output is a pipe and returns its process.
pid_t start_server(const std::string& data_dir, int output) {
  const std::string program = std::string(KTRDR_PROGRAMS) + "/ktrdr";
  std::vector<std::string> arguments = {program,  "serve", "--data-dir",      data_dir,
                                        "--port", "0",     "--local-workers", "0"};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  CHECK(posix_spawn(&pid, program.c_str(), &files, nullptr, argv.data(), environ) == 0,
        "the server was built");
  posix_spawn_file_actions_destroy(&files);
  return pid;
}

double milliseconds_until_ready() {
  const ktrdr::testing::TemporaryFolder folder;
  int pipe_ends[2];
  CHECK(pipe2(pipe_ends, O_CLOEXEC) == 0, "a pipe");
  const auto begin = Clock::now();
  const pid_t pid = start_server(folder / "data", pipe_ends[1]);
  close(pipe_ends[1]);
  char first = 0;
  CHECK(read(pipe_ends[0], &first, 1) == 1, "the server says that it is ready");
  const auto ready = Clock::now();
  kill(pid, SIGTERM);
  waitpid(pid, nullptr, 0);
  close(pipe_ends[0]);
  return std::chrono::duration<double, std::milli>(ready - begin).count();
}

}  // namespace

int main() {
  for (int i = 0; i < kWarmUps; ++i) milliseconds_until_ready();
  std::vector<double> rounds;
  for (int i = 0; i < kRounds; ++i) rounds.push_back(milliseconds_until_ready());
  std::sort(rounds.begin(), rounds.end());
  const double median = rounds[rounds.size() / 2];
  std::printf("figure serve_ready_ms %.1f %.0f %s\n", median, kBoundMs, median < kBoundMs ? "ok" : "short");
  return 0;
}
