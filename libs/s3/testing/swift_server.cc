#include "ktrdr/s3/testing/swift_server.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <thread>
#include <vector>

namespace ktrdr::s3::testing {
namespace {

constexpr std::chrono::seconds kLongestStart(120);
constexpr const char* kPython = "/usr/bin/python3";  // Debian's, which has Debian's Swift
constexpr const char* kAccessKey = "test:tester";
constexpr const char* kSecretKey = "testing-secret";
constexpr const char* kBucket = "ktrdr-test";

[[noreturn]] void give_up(const std::string& reason) {
  std::fprintf(stderr, "SwiftServer: %s\n", reason.c_str());
  std::abort();
}

std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

[[noreturn]] void become(const std::vector<std::string>& command, const std::string& log_file, pid_t parent) {
  const int out = open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (out < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0) _exit(126);
  close_range(3, ~0U, 0);
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || chdir("/") != 0) _exit(126);
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  _exit(127);
}

std::string port_of(const std::string& url) { return url.empty() ? "0" : url.substr(url.rfind(':') + 1); }

}  // namespace

SwiftServer::SwiftServer() { start(); }
SwiftServer::~SwiftServer() { kill(); }

SwiftServer& SwiftServer::shared() {
  static SwiftServer server;
  return server;
}

std::string SwiftServer::place(const std::string& prefix) const {
  return "s3://" + std::string(kBucket) + "/" + prefix;
}

Environment SwiftServer::environment() const {
  const std::map<std::string, std::string> variables = {
      {"AWS_ACCESS_KEY_ID", kAccessKey}, {"AWS_SECRET_ACCESS_KEY", kSecretKey}, {"AWS_ENDPOINT_URL", url_}};
  return [variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

Environment SwiftServer::environment_with(const std::string& name, const std::string& value) const {
  return [others = environment(), name, value](const std::string& asked) {
    return asked == name ? std::optional(value) : others(asked);
  };
}

void SwiftServer::kill() {
  if (server_ < 0) return;
  ::kill(server_, SIGKILL);
  while (waitpid(server_, nullptr, 0) < 0 && errno == EINTR) {
  }
  server_ = -1;
}

void SwiftServer::start() {
  std::filesystem::remove(folder_ / "url");
  const std::vector<std::string> command = {
      kPython, SWIFT_SERVER_PROGRAM, folder_.path(), kAccessKey, kSecretKey, kBucket, port_of(url_)};
  const pid_t us = getpid();
  server_ = fork();
  if (server_ < 0) give_up("cannot start a process.");
  if (server_ == 0) become(command, folder_ / "log", us);
  const auto deadline = std::chrono::steady_clock::now() + kLongestStart;
  while (!std::filesystem::exists(folder_ / "url")) {
    if (waitpid(server_, nullptr, WNOHANG) == server_)
      give_up("the server ended; install python3-swift. It said: " + log());
    if (std::chrono::steady_clock::now() > deadline) give_up("the server does not start: " + log());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  url_ = content_of(folder_ / "url");
}

std::string SwiftServer::log() const { return content_of(folder_ / "log"); }

std::string fresh_prefix() {
  static std::atomic<int> number = 0;
  return "test-" + std::to_string(++number);
}

}  // namespace ktrdr::s3::testing
