#include "programs.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "ktrdr/core/check.h"

namespace ktrdr::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMemory = "/dev/shm";
constexpr std::uintmax_t kEnoughBytes = std::uintmax_t{4} << 30;

sockaddr_in on_this_machine(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool listens(int port) {
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = on_this_machine(port);
  const bool connected = connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(client);
  return connected;
}

// Whoever kills this program leaves nothing behind.
system_test::Command ends_with_us(const system_test::Command& command) {
  system_test::Command wrapped = command;
  wrapped.program = "/usr/bin/setpriv";
  wrapped.arguments = {"--pdeathsig", "KILL", command.program};
  wrapped.arguments.insert(wrapped.arguments.end(), command.arguments.begin(), command.arguments.end());
  return wrapped;
}

system_test::Command serve(const std::string& database, const fs::path& folder, int port) {
  system_test::Command command{.program = fs::path(KTRDR_PROGRAMS) / "ktrdr",
                               .arguments = {"serve", "--data-dir", folder, "--port", std::to_string(port),
                                             "--local-workers", "0", "--no-auth"},
                               .environment = {},
                               .output = folder.string() + ".log"};
  if (!database.empty()) command.arguments.insert(command.arguments.end(), {"--database", database});
  return command;
}

}  // namespace

TemporaryFoldersIn::TemporaryFoldersIn(const fs::path& place) {
  if (const char* folder = std::getenv("TMPDIR")) before_ = folder;
  setenv("TMPDIR", place.c_str(), 1);
}

TemporaryFoldersIn::~TemporaryFoldersIn() {
  if (before_) setenv("TMPDIR", before_->c_str(), 1);
  else unsetenv("TMPDIR");
}

fs::path on_disk() { return KTRDR_PROGRAMS; }

fs::path in_memory() {
  std::error_code is_missing;
  const auto memory = fs::space(kMemory, is_missing);
  return !is_missing && memory.available > kEnoughBytes ? kMemory : on_disk();
}

system_test::Command pinned(system_test::Command command, Core core) {
  if (!core) return command;
  command.arguments.insert(command.arguments.begin(), {"--cpu-list", std::to_string(*core), command.program});
  command.program = "/usr/bin/taskset";
  return command;
}

Listening::Listening(system_test::Command command, int port, Core core)
    : port_(port), process_(ends_with_us(pinned(std::move(command), core))) {
  const bool is_there = system_test::eventually([this] { return !process_.is_running() || listens(port_); });
  CHECK(is_there && process_.is_running(), "the program starts: its log says why it does not");
}

int free_port() {
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = on_this_machine(0);
  socklen_t size = sizeof(address);
  CHECK(bind(server, reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
            getsockname(server, reinterpret_cast<sockaddr*>(&address), &size) == 0,
        "there is a free port");
  close(server);
  return ntohs(address.sin_port);
}

OurServer::OurServer(const std::string& database, const fs::path& folder, Core core)
    : server_([&] {
        const int port = free_port();
        return Listening(serve(database, folder, port), port, core);
      }()) {}

fs::path OurServer::database_file(const fs::path& folder) { return folder / "ktrdr.db"; }

}  // namespace ktrdr::bench
