// The live stream of a real control plane over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ktrdr/api/event.h"
#include "ktrdr/client/testing/stream_reader.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/server/control_plane.h"
#include "ktrdr/server/data_folder.h"
#include "ktrdr/storage/sqlite_repository.h"
#include "ktrdr/storage/testing/operations_repository_fixture.h"

namespace ktrdr::server {
namespace {

using client::testing::StreamReader;
using ktrdr::testing::IsOk;
using storage::testing::value_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

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
