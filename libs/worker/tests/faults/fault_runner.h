// Runs station_program in a folder of its own, under strace or with a library preloaded, and says what
// happened.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "station.h"

namespace ktrdr::worker::testing {

using Words = std::vector<std::string>;
using Settings = std::map<std::string, std::string>;  // of the environment

inline std::string content_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

struct Ended {
  int status = -1;      // exit status; -1: a signal
  bool killed = false;  // by SIGKILL
  std::string said, complained;
};

// A child whose stdout and stderr go to files beside each other, so that nothing has to read while it runs.
class Child {
 public:
  Child(const Words& words, std::filesystem::path outputs, const Settings& settings = {})
      : outputs_(std::move(outputs)) {
    std::vector<std::string> variables = {
        "ASAN_OPTIONS=detect_leaks=0"};  // the leak check itself needs ptrace
    for (const auto& [name, value] : settings) variables.push_back(name + "=" + value);
    for (char** variable = environ; *variable != nullptr; ++variable) variables.emplace_back(*variable);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, said().c_str(), flags, 0644);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, complained().c_str(), flags, 0644);
    const int spawned = posix_spawnp(&pid_, words.front().c_str(), &actions, nullptr, pointers(words).data(),
                                     pointers(variables).data());
    posix_spawn_file_actions_destroy(&actions);
    EXPECT_EQ(spawned, 0) << words.front() << " must be installed: see ./dev setup";
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }

  // It has stopped itself; false: it ended before.
  bool wait_until_stopped() {
    int status = 0;
    const bool stopped = waitpid(pid_, &status, WUNTRACED) == pid_ && WIFSTOPPED(status);
    if (!stopped) status_ = status;
    return stopped;
  }
  Ended wait_until_ended() {
    if (!status_) {
      int status = 0;
      EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
      status_ = status;
    }
    return {WIFEXITED(*status_) ? WEXITSTATUS(*status_) : -1,
            WIFSIGNALED(*status_) && WTERMSIG(*status_) == SIGKILL, content_of(said()),
            content_of(complained())};
  }

 private:
  static std::vector<char*> pointers(const Words& words) {
    std::vector<char*> pointers;
    for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    return pointers;
  }
  std::string said() const { return outputs_.string() + ".out"; }
  std::string complained() const { return outputs_.string() + ".err"; }

  const std::filesystem::path outputs_;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

inline Ended run_program(const Words& words, const std::filesystem::path& outputs,
                         const Settings& settings = {}) {
  return Child(words, outputs, settings).wait_until_ended();
}

// Every thread of a process has a tracer, or the process is gone.
inline bool is_traced(pid_t process) {
  std::error_code gone;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task", gone)) {
    const std::string status = content_of(task.path() / "status");
    if (status.find("TracerPid:\t0\n") != std::string::npos) return false;
  }
  return true;
}

inline Words station_command(const std::filesystem::path& folder, const Words& verbs) {
  Words words = {STATION_PROGRAM, folder.string()};
  words.insert(words.end(), verbs.begin(), verbs.end());
  return words;
}

// Runs the verbs with strace taking hold where they begin: it counts calls from there, for each thread on its
// own.
inline Ended run_traced(const std::filesystem::path& folder, const Words& verbs, const Words& options) {
  Child program(station_command(folder, verbs), folder, {{"STOP_BEFORE", "verbs"}});
  if (!program.wait_until_stopped()) return program.wait_until_ended();
  Words words = {"strace", "-f", "-qq", "-o", folder.string() + ".log"};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {"-p", std::to_string(program.pid())});
  Child strace(words, folder.string() + ".strace");
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!is_traced(program.pid()) && std::chrono::steady_clock::now() < give_up) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // strace has no way to tell us
  }
  EXPECT_TRUE(is_traced(program.pid())) << content_of(folder.string() + ".strace.err");
  kill(program.pid(), SIGCONT);
  const Ended ended = program.wait_until_ended();
  strace.wait_until_ended();
  return ended;
}

// What the lines on stdout add to what was promised before.
inline Promised promised_by(const std::string& said, Promised promised) {
  std::istringstream lines(said);
  for (std::string line; std::getline(lines, line);) {
    if (line == "created") promised.created = true;
    if (line == "finished") promised.finished = true;
    if (line == "removed") promised.removed = true;
    if (line.starts_with("saved ")) promised.saved = CheckpointRef::parse(line.substr(6));
  }
  return promised;
}

}  // namespace ktrdr::worker::testing
