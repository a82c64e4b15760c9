// The live stream of a real control plane over real sockets.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "ktrdr/api/event.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/core/durable_file.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/server/control_plane.h"
#include "ktrdr/server/data_folder.h"
#include "ktrdr/storage/sqlite_repository.h"
#include "ktrdr/storage/testing/operations_repository_fixture.h"

namespace ktrdr::server {
namespace {

using ktrdr::testing::IsOk;
using storage::testing::value_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kPatienceMs = 10'000;

// Reads a stream as a browser does; no header makes it begin where an `after` says, or at the beginning.
class StreamReader {
 public:
  StreamReader(const std::string& url, const OperationId& id, const std::string& query = "",
               const std::string& header = "")
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1))));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
          "the server listens");
    const std::string request = "GET /api/v1/operations/" + id.value + "/events/stream" + query +
                                " HTTP/1.1\r\nHost: localhost\r\n" + header + "\r\n";
    CHECK(::send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL) ==
              static_cast<ssize_t>(request.size()),
          "a short request is sent at once");
    while (received_.find("\r\n\r\n") == std::string::npos && receive()) continue;
  }

  const std::string& received() const { return received_; }

  // "claimed 2", in the order they came, once there are `count`, or the stream has ended.
  std::vector<std::string> events(std::size_t count) {
    while (lines().size() < count && receive()) continue;
    return lines();
  }
  std::vector<std::string> all() { return events(SIZE_MAX); }
  bool has_ended_well() { return received_.ends_with("\r\n0\r\n\r\n"); }

 private:
  std::vector<std::string> lines() const {
    std::vector<std::string> events;
    for (std::size_t at = received_.find("event: "); at != std::string::npos;
         at = received_.find("event: ", at + 1)) {
      if (received_.find("\n\n", at) == std::string::npos) break;
      const std::string kind = received_.substr(at + 7, received_.find('\n', at) - at - 7);
      const auto id = received_.rfind("id: ", at);
      const bool is_event = kind != "end";
      events.push_back(is_event ? kind + " " + received_.substr(id + 4, at - id - 5) : kind);
    }
    return events;
  }

  bool receive() {
    pollfd waiting{socket_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, kPatienceMs) == 0) return false;
    char bytes[4096];
    const ssize_t count = ::recv(socket_.get(), bytes, sizeof bytes, 0);
    if (count <= 0) return false;
    received_.append(bytes, static_cast<std::size_t>(count));
    return true;
  }

  FileDescriptor socket_;
  std::string received_;
};

// The test writes to the database beside the server, as another server would.
class EventStreams : public storage::testing::RepositoryTest {
 protected:
  EventStreams() {
    auto started = ControlPlane::start(
        machine_clock_,
        {.data_dir = folder_ / "data", .port = 0, .require_token = false, .local_workers = 0});
    CHECK(started.ok(), "the control plane starts");
    server_ = std::move(started).value();
    store_ = storage::open_sqlite_repository(DataFolder{folder_ / "data"}.database(), clock_).value();
  }
  storage::OperationsRepository& store() override { return *store_; }

  StreamReader read(const OperationId& id, const std::string& query = "", const std::string& header = "") {
    return StreamReader(server_->url(), id, query, header);
  }

  SystemClock machine_clock_;
  std::unique_ptr<ControlPlane> server_;
  std::unique_ptr<storage::OperationsRepository> store_;
};

TEST_F(EventStreams, TwoReadersSeeEveryEventAsItHappensAndTheEnd) {
  const OperationId id = create();
  StreamReader one = read(id), another = read(id, "?after=1");
  EXPECT_THAT(one.received(), HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(one.events(1), ElementsAre("created 1"));
  const storage::Fence fence = start(id);
  EXPECT_THAT(one.events(4), ElementsAre("created 1", "claimed 2", "checkpoint 3", "checkpoint 4"));
  ASSERT_THAT(store().complete(id, storage::testing::completion(fence)), IsOk());
  EXPECT_THAT(one.all(),
              ElementsAre("created 1", "claimed 2", "checkpoint 3", "checkpoint 4", "completed 5", "end"));
  EXPECT_THAT(another.all(), ElementsAre("claimed 2", "checkpoint 3", "checkpoint 4", "completed 5", "end"));
  EXPECT_TRUE(one.has_ended_well() && another.has_ended_well());
  EXPECT_THAT(one.received(), HasSubstr(R"(data: {"operation_id":"op_1","status":"completed"})"));
}

TEST_F(EventStreams, TheDataOfAnEventIsThatOfTheHistory) {
  const OperationId id = failed();
  const auto events = value_of(store().events(id, {})).events;
  StreamReader reader = read(id);
  reader.all();
  for (const api::OperationEvent& event : events) {
    EXPECT_THAT(reader.received(), HasSubstr("data: " + api::to_json(event) + "\n\n"));
  }
}

TEST_F(EventStreams, AReaderThatConnectsAgainMissesNothingAndSeesNothingTwice) {
  const OperationId id = create();
  std::vector<std::string> seen;
  {
    StreamReader reader = read(id);
    seen = reader.events(1);
  }
  const storage::Fence fence = start(id);  // nobody watches
  {
    StreamReader reader = read(id, "?after=0", "Last-Event-ID: 1\r\n");  // the header counts: it is later
    for (const std::string& event : reader.events(3)) seen.push_back(event);
  }
  ASSERT_THAT(store().fail(id, fence, "out of memory"), IsOk());
  StreamReader reader = read(id, "", "Last-Event-ID: 4\r\n");
  for (const std::string& event : reader.all()) seen.push_back(event);
  EXPECT_THAT(seen, ElementsAre("created 1", "claimed 2", "checkpoint 3", "checkpoint 4", "failed 5", "end"));
  StreamReader late = read(id, "", "Last-Event-ID: 5\r\n");
  EXPECT_THAT(late.all(), ElementsAre("end"));
}

TEST_F(EventStreams, AFinishedOperationThatIsResumedCanBeWatchedAgain) {
  const OperationId id = failed();
  EXPECT_THAT(read(id, "?after=4").all(), ElementsAre("failed 5", "end"));
  ASSERT_THAT(store().try_resume(id, false, {}, std::nullopt), IsOk());
  StreamReader reader = read(id, "?after=5");
  EXPECT_THAT(reader.events(1), ElementsAre("resumed 6"));
  ASSERT_THAT(store().request_cancel(id, "enough", {}), IsOk());
  EXPECT_THAT(reader.all(), ElementsAre("resumed 6", "cancelled 7", "end"));
}

TEST_F(EventStreams, StoppingTheServerEndsThemInGoodOrder) {
  const OperationId id = create();
  StreamReader one = read(id), another = read(id);
  one.events(1);
  another.events(1);
  server_->stop();
  EXPECT_THAT(one.all(), ElementsAre("created 1"));
  EXPECT_TRUE(one.has_ended_well());
  another.all();
  EXPECT_TRUE(another.has_ended_well());
}

TEST_F(EventStreams, WhatCanNotBeWatchedIsRefusedBeforeAStreamBegins) {
  const OperationId id = create();
  EXPECT_THAT(read({"op_unknown"}).received(), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(read(id, "?after=-1").received(), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(read(id, "?limit=1").received(), StartsWith("HTTP/1.1 400"));
  for (const char* wrong : {"x", "-1", "1.5", "99999999999999999999"}) {
    EXPECT_THAT(read(id, "", "Last-Event-ID: " + std::string(wrong) + "\r\n").received(),
                StartsWith("HTTP/1.1 400"))
        << wrong;
  }
}

}  // namespace
}  // namespace ktrdr::server
