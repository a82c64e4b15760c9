// What is cut off is silent: neither refused nor reset, in both directions, and it goes on afterwards.
#include "network_namespace.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <functional>
#include <thread>

#include "ktrdr/core/durable_file.h"

namespace ktrdr::chaos {
namespace {

constexpr const char* kWorker = "127.0.1.1";
constexpr const char* kNeighbour = "127.0.1.2";
constexpr int kSilenceMs =
    400;  // an answer on this machine takes microseconds; a lost packet is sent again after 200 ms
constexpr int kPatienceMs = 10'000;

sockaddr_in at(const char* host, in_port_t port = 0) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = port;
  ::inet_pton(AF_INET, host, &address.sin_addr);
  return address;
}

const sockaddr* plain(const sockaddr_in& address) { return reinterpret_cast<const sockaddr*>(&address); }

bool happens(const FileDescriptor& socket, short what, int within_ms) {
  pollfd one{socket.get(), what, 0};
  return ::poll(&one, 1, within_ms) == 1;
}

struct Listener {
  explicit Listener(const char* host) : socket(::socket(AF_INET, SOCK_STREAM, 0)), address(at(host)) {
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket.get(), plain(address), size), 0);
    EXPECT_EQ(::listen(socket.get(), 8), 0);
    ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  }
  FileDescriptor socket;
  sockaddr_in address;
};

// A connection on its way.
FileDescriptor call(const Listener& whom) {
  FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  EXPECT_TRUE(::connect(socket.get(), plain(whom.address), sizeof whom.address) == 0 || errno == EINPROGRESS);
  return socket;
}

bool is_connected(const FileDescriptor& socket, int within_ms) {
  int error = 0;
  socklen_t size = sizeof error;
  return happens(socket, POLLOUT, within_ms) &&
         ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

void say(const FileDescriptor& socket, char what) {
  EXPECT_EQ(::send(socket.get(), &what, 1, MSG_NOSIGNAL), 1);
}

bool hears(const FileDescriptor& socket, char what) {
  char heard = 0;
  return happens(socket, POLLIN, kPatienceMs) && ::recv(socket.get(), &heard, 1, 0) == 1 && heard == what;
}

// A thread of its own is in the network alone, and the rest of this program stays where it is.
void in_own_network(const std::function<void()>& test) {
  std::optional<std::string> impossible;
  std::thread([&] {
    impossible = enter_own_network_namespace();
    if (!impossible) test();
  }).join();
  if (impossible) GTEST_SKIP() << *impossible;
}

TEST(ChaosNetwork, WhoCallsAnAddressThatIsCutOffHearsNothingUntilItIsReconnected) {
  in_own_network([] {
    const Listener worker(kWorker);
    cut_off(kWorker);
    const FileDescriptor caller = call(worker);
    EXPECT_FALSE(happens(caller, POLLOUT, kSilenceMs)) << "neither connected nor refused";
    reconnect(kWorker);
    EXPECT_TRUE(is_connected(caller, kPatienceMs)) << "its first packet is sent again";
    EXPECT_TRUE(is_connected(call(worker), kPatienceMs));
  });
}

TEST(ChaosNetwork, OpenConnectionsStayAndWhatWasSaidMeanwhileArrivesAfterwardsInBothDirections) {
  in_own_network([] {
    const Listener worker(kWorker);
    const FileDescriptor near = call(worker);
    ASSERT_TRUE(is_connected(near, kPatienceMs));
    const FileDescriptor far(::accept(worker.socket.get(), nullptr, nullptr));
    cut_off(kWorker);
    say(near, 'a');
    say(far, 'b');
    EXPECT_FALSE(happens(far, POLLIN, kSilenceMs));
    EXPECT_FALSE(happens(near, POLLIN, kSilenceMs));
    reconnect(kWorker);
    EXPECT_TRUE(hears(far, 'a'));
    EXPECT_TRUE(hears(near, 'b'));
  });
}

TEST(ChaosNetwork, TheOthersHearEachOtherMeanwhile) {
  in_own_network([] {
    const Listener neighbour(kNeighbour), everybody("127.0.0.1");
    cut_off(kWorker);
    EXPECT_TRUE(is_connected(call(neighbour), kPatienceMs));
    EXPECT_TRUE(is_connected(call(everybody), kPatienceMs));
  });
}

}  // namespace
}  // namespace ktrdr::chaos
