// How long a worker waits for a server that hangs, and whom it asks next.
#include "ktrdr/worker/server_link.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "ktrdr/client/testing/scripted_server.h"
#include "ktrdr/core/testing/matchers.h"

namespace ktrdr::worker {
namespace {

using client::testing::ScriptedServer;
using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;

constexpr Duration kHeartbeat{300};
constexpr Duration kLease = 5 * kHeartbeat;
constexpr const char* kBeat = "POST /api/v1/operations/op/heartbeat";
constexpr const char* kCommit = "POST /api/v1/operations/op/checkpoints";

// Its connections are taken by the kernel, and nobody ever reads from them.
class DeafServer {
 public:
  DeafServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    CHECK(::bind(listener_.get(), raw, size) == 0 && ::listen(listener_.get(), 16) == 0 &&
              ::getsockname(listener_.get(), raw, &size) == 0,
          "a test may listen on this machine");
    port_ = ntohs(address.sin_port);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  FileDescriptor listener_;
  int port_ = 0;
};

class ServerLinkTest : public ::testing::Test {
 protected:
  ServerLinkTest() {
    for (ScriptedServer* server : {&first_, &last_}) {
      server->answer("POST /api/v1/workers/register", {200, R"({"worker_id":"w","heartbeat_interval_ms":)" +
                                                                std::to_string(kHeartbeat.count()) + "}"});
      server->answer(kBeat, {200, R"({"success":true,"cancel":false,"version":1})"});
      server->answer(kCommit, {200, R"({"success":true,"version":1,"dropped":[]})"});
    }
  }

  static ServerLink link_to(const std::string& url, std::vector<std::string> peers,
                            Duration patience = std::chrono::seconds(30)) {
    return {{.url = url},
            [](const std::string&) { return std::optional<std::string>(); },
            std::move(peers),
            patience};
  }

  Duration time_of(const std::function<void()>& work) {
    const Duration begin = clock_.monotonic();
    work();
    return clock_.monotonic() - begin;
  }

  SystemClock clock_;
  ScriptedServer first_, last_;
  DeafServer deaf_, also_deaf_;
};

TEST_F(ServerLinkTest, AHeartbeatOutlivesAServerThatHangs) {
  ServerLink link = link_to(first_.url(), {deaf_.url(), also_deaf_.url(), last_.url()});
  ASSERT_THAT(link.register_worker({.worker_id = "w"}), IsOk());
  first_.go_down();
  const Duration took = time_of([&] { EXPECT_THAT(link.heartbeat({"op"}, {}), IsOk()); });
  EXPECT_EQ(last_.requests(kBeat).size(), 1U);
  EXPECT_LT(kHeartbeat + took, kLease) << "the one before was up to an interval ago";
}

TEST_F(ServerLinkTest, WithoutAnotherServerAHangingOneIsAskedAgainWithinTheLease) {
  ServerLink link = link_to(first_.url(), {deaf_.url()});
  ASSERT_THAT(link.register_worker({.worker_id = "w"}), IsOk());
  first_.go_down();
  const Duration took =
      time_of([&] { EXPECT_THAT(link.heartbeat({"op"}, {}), FailsWith(ErrorCode::kUnavailable)); });
  EXPECT_LT(kHeartbeat + took, kLease);
  first_.come_back();
  EXPECT_THAT(link.heartbeat({"op"}, {}), IsOk());
}

// A server whose store fails is as good as none, when there are others.
TEST_F(ServerLinkTest, AServerInTroubleIsNotAskedUntilTheLeaseLapses) {
  first_.answer("POST /api/v1/operations/sick/heartbeat", {500, "{}"});
  last_.answer("POST /api/v1/operations/sick/heartbeat", {200, R"({"success":true,"version":1})"});
  ServerLink link = link_to(first_.url(), {last_.url()});
  EXPECT_THAT(link.heartbeat({"sick"}, {}), IsOk());
}

TEST_F(ServerLinkTest, ARefusalIsAnAnswerAndNobodyElseIsAsked) {
  first_.answer("POST /api/v1/operations/gone/heartbeat",
                {409, R"({"detail":"Another attempt runs.","error":{"code":"STALE"}})"});
  ServerLink link = link_to(first_.url(), {last_.url()});
  EXPECT_THAT(link.heartbeat({"gone"}, {}), FailsWith(ErrorCode::kStale));
  EXPECT_TRUE(last_.requests().empty());
}

TEST_F(ServerLinkTest, WhoeverWaitedLongestDoesNotTurnAwayFromTheServerThatAnswers) {
  ServerLink link = link_to(deaf_.url(), {last_.url()}, Duration(300));
  {
    std::vector<std::jthread> waiting;
    for (int i = 0; i < 2; ++i) {
      waiting.emplace_back(
          [&] { EXPECT_THAT(link.commit_checkpoint({"op"}, {}), FailsWith(ErrorCode::kUnavailable)); });
    }
  }
  EXPECT_THAT(link.commit_checkpoint({"op"}, {}), IsOk());
}

}  // namespace
}  // namespace ktrdr::worker
