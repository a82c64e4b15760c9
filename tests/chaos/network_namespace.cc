#include "network_namespace.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "ktrdr/core/check.h"
#include "ktrdr/core/durable_file.h"
#include "support/child_process.h"

namespace ktrdr::chaos {
namespace {

constexpr const char* kNft = "/usr/sbin/nft";

// Dropped on the way in, where nobody is told: what is dropped on the way out is an error of whoever sent it.
constexpr const char* kRules = R"(
table ip chaos {
  set cut_off { type ipv4_addr; }
  chain arriving {
    type filter hook input priority filter;
    ip saddr @cut_off drop;
    ip daddr @cut_off drop;
  }
})";

// What nft has against it; empty: done.
std::string nft(const std::string& command) {
  const auto finished = system_test::run({.program = kNft, .arguments = {command}});
  if (finished.exit_code == 0) return "";
  return "nft: " + finished.err.substr(0, finished.err.find('\n'));
}

bool bring_loopback_up() {
  const FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP;
  return ::ioctl(socket.get(), SIOCSIFFLAGS, &loopback) == 0;
}

std::string element(const std::string& change, const std::string& address) {
  return change + " element ip chaos cut_off { " + address + " }";
}

}  // namespace

std::optional<std::string> enter_own_network_namespace() {
  if (!std::filesystem::exists(kNft)) return "no nftables";
  const FileDescriptor before(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!before.is_open() || ::unshare(CLONE_NEWNET) != 0)
    return std::string("no network of its own: ") + std::strerror(errno);
  const std::string refused = bring_loopback_up() ? nft(kRules) : "no loopback in a network of its own";
  if (refused.empty()) return std::nullopt;
  CHECK(::setns(before.get(), CLONE_NEWNET) == 0, "who left a network can go back");
  return refused;
}

void cut_off(const std::string& address) {
  CHECK(nft(element("add", address)).empty(), "the rules are there");
}

void reconnect(const std::string& address) {
  CHECK(nft(element("delete", address)).empty(), "it was cut off");
}

}  // namespace ktrdr::chaos
