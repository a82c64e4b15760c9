#include "ktrdr/services/event_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/storage/memory_repository.h"
#include "ktrdr/storage/testing/operations_repository_fixture.h"

namespace ktrdr::services {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RecordingSink final : public EventSink {
 public:
  bool event(const api::OperationEvent& event) override {
    return add(std::string(to_string(event.kind)) + " " + std::to_string(event.sequence));
  }
  bool keep_alive() override { return add("alive"); }
  bool is_open() const override { return heard_.lock()->is_open; }
  void end(api::OperationStatus status) override { add("end " + std::string(to_string(status))); }

  void leave() {
    heard_.update([](Heard& heard) { heard.is_open = false; });
  }
  // Waits until it has heard this many; what it has heard then, or after ten seconds.
  std::vector<std::string> heard(std::size_t count) {
    return heard_.wait(
        Duration(10'000), [count](Heard& heard) { return heard.lines.size() >= count; },
        [](Heard& heard, bool) { return heard.lines; });
  }

 private:
  struct Heard {
    std::vector<std::string> lines;
    bool is_open = true;
  };
  bool add(std::string line) {
    bool is_open = false;
    heard_.update([&](Heard& heard) {
      is_open = heard.is_open;
      if (is_open) heard.lines.push_back(std::move(line));
    });
    return is_open;
  }
  mutable Synchronized<Heard> heard_;
};

class Feed : public storage::testing::RepositoryTest {
 protected:
  storage::OperationsRepository& store() override { return *store_; }

  EventFeed& feed(const EventFeed::Options& options = {.poll_interval = Duration(5)}) {
    if (!feed_) feed_ = std::make_unique<EventFeed>(real_clock_, *store_, options);
    return *feed_;
  }
  std::shared_ptr<RecordingSink> subscribe(const OperationId& id, std::int64_t after = 0) {
    auto sink = std::make_shared<RecordingSink>();
    EXPECT_THAT(feed().subscribe(id, after, sink), IsOk());
    return sink;
  }
  bool forgets_all_readers() {
    const Duration deadline = real_clock_.monotonic() + Duration(10'000);
    while (feed().readers() > 0 && real_clock_.monotonic() < deadline) std::this_thread::yield();
    return feed().readers() == 0;
  }

  SystemClock real_clock_;
  std::unique_ptr<storage::OperationsRepository> store_ = storage::make_memory_repository(clock_);
  std::unique_ptr<EventFeed> feed_;
};

TEST_F(Feed, TellsWhatHappenedThenWhatHappensThenTheEnd) {
  const OperationId id = create();
  const auto sink = subscribe(id);
  EXPECT_THAT(sink->heard(1), ElementsAre("created 1"));
  const storage::Fence fence = start(id);  // nobody says so: another server did it
  EXPECT_THAT(sink->heard(4), ElementsAre("created 1", "claimed 2", "checkpoint 3", "checkpoint 4"));
  ASSERT_THAT(store().fail(id, fence, "out of memory"), IsOk());
  EXPECT_THAT(sink->heard(6), ElementsAre("created 1", "claimed 2", "checkpoint 3", "checkpoint 4",
                                          "failed 5", "end failed"));
  EXPECT_TRUE(forgets_all_readers());
}

TEST_F(Feed, GoesOnWhereAReaderWas) {
  const OperationId id = failed();  // five events
  EXPECT_THAT(subscribe(id, 3)->heard(3), ElementsAre("checkpoint 4", "failed 5", "end failed"));
  EXPECT_THAT(subscribe(id, 5)->heard(1), ElementsAre("end failed"));
}

TEST_F(Feed, AChangeOfThisServerIsToldAtOnce) {
  feed({.poll_interval = Duration(3'600'000)});
  const OperationId id = create(), other = create("op_2");
  const auto sink = subscribe(id), bystander = subscribe(other);
  EXPECT_THAT(sink->heard(1), ElementsAre("created 1"));
  start(id);
  feed().changed(id);
  EXPECT_THAT(sink->heard(4), ElementsAre("created 1", "claimed 2", "checkpoint 3", "checkpoint 4"));
  EXPECT_THAT(bystander->heard(1), ElementsAre("created 1"));
}

TEST_F(Feed, ReadersOfOneOperationGetEachEventOnceHoweverOftenItIsAnnounced) {
  const OperationId id = create();
  const auto one = subscribe(id), another = subscribe(id, 1);
  const storage::Fence fence = start(id);
  for (int i = 0; i < 100; ++i) feed().changed(id);
  ASSERT_THAT(store().stopped(id, storage::testing::stop(fence)), IsOk());
  feed().changed(id);
  EXPECT_THAT(one->heard(6), ElementsAre("created 1", "claimed 2", "checkpoint 3", "checkpoint 4",
                                         "cancelled 5", "end cancelled"));
  EXPECT_THAT(another->heard(5),
              ElementsAre("claimed 2", "checkpoint 3", "checkpoint 4", "cancelled 5", "end cancelled"));
}

TEST_F(Feed, AReaderThatLeftIsForgotten) {
  const auto sink = subscribe(create());
  sink->heard(1);
  sink->leave();
  EXPECT_TRUE(forgets_all_readers());
}

TEST_F(Feed, SaysWithSomethingThatItIsAlive) {
  feed({.poll_interval = Duration(5), .keep_alive_interval = Duration(10)});
  const auto heard = subscribe(create())->heard(3);
  ASSERT_GE(heard.size(), 3u);
  EXPECT_EQ(heard[0], "created 1");
  EXPECT_EQ(heard[2], "alive");
}

TEST_F(Feed, AnUnknownOperationAndTooManyReadersAreRefused) {
  feed({.poll_interval = Duration(5), .most_readers = 1});
  const auto sink = std::make_shared<RecordingSink>();
  EXPECT_THAT(feed().subscribe({"op_unknown"}, 0, sink), FailsWith(ErrorCode::kNotFound));
  const OperationId id = create();
  EXPECT_THAT(feed().subscribe(id, 0, sink), IsOk());
  EXPECT_THAT(feed().subscribe(id, 0, sink), FailsWith(ErrorCode::kUnavailable));
}

}  // namespace
}  // namespace ktrdr::services
