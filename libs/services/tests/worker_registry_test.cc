#include "ktrdr/services/worker_registry.h"

#include <gtest/gtest.h>

#include "ktrdr/core/testing/manual_clock.h"
#include "ktrdr/core/testing/matchers.h"

namespace ktrdr::services {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::ManualClock;
using namespace std::chrono_literals;

struct Bench {
  ManualClock clock;
  WorkerRegistry registry{clock, 2s};

  Result<api::WorkerInfo> add(const std::string& id, const std::string& endpoint,
                              std::optional<std::string> operation = std::nullopt) {
    return registry.add({.worker_id = id,
                         .name = id,
                         .endpoint_url = endpoint,
                         .current_operation_id = std::move(operation)});
  }
};

TEST(WorkerRegistry, AWorkerIsAvailableOrBusy) {
  Bench bench;
  EXPECT_EQ(bench.add("a", "http://127.0.0.1:1")->status, "available");
  EXPECT_EQ(bench.add("b", "http://127.0.0.1:2", "op_1")->status, "busy")
      << "one that registers busy gets no work";
  EXPECT_EQ(bench.registry.available().size(), 1u);
  EXPECT_EQ(bench.registry.connected_count(), 2);
}

TEST(WorkerRegistry, ASilentWorkerGetsNoWorkAndIsForgottenLater) {
  Bench bench;
  ASSERT_THAT(bench.add("a", "http://127.0.0.1:1"), IsOk());
  bench.clock.advance(7s);
  EXPECT_TRUE(bench.registry.available().empty());
  EXPECT_EQ(bench.registry.list().front().status, "temporarily_unavailable");
  ASSERT_THAT(bench.add("a", "http://127.0.0.1:1"), IsOk());
  EXPECT_EQ(bench.registry.available().size(), 1u) << "a sign of life brings it back";
  bench.clock.advance(301s);
  EXPECT_TRUE(bench.registry.list().empty());
}

TEST(WorkerRegistry, AJumpOfTheWallClockChangesNothing) {
  Bench bench;
  ASSERT_THAT(bench.add("a", "http://127.0.0.1:1"), IsOk());
  bench.clock.jump_wall_clock(24h);
  EXPECT_EQ(bench.registry.available().size(), 1u);
}

TEST(WorkerRegistry, ANewProcessAtTheSameAddressReplacesTheOld) {
  Bench bench;
  ASSERT_THAT(bench.add("a", "http://127.0.0.1:1"), IsOk());
  ASSERT_THAT(bench.add("b", "http://127.0.0.1:1"), IsOk());
  EXPECT_EQ(bench.registry.list().size(), 1u);
  EXPECT_THAT(bench.registry.get({"a"}), FailsWith(ErrorCode::kNotFound));
}

TEST(WorkerRegistry, TheLeastRecentlyUsedIsFirst) {
  Bench bench;
  ASSERT_THAT(bench.add("a", "http://127.0.0.1:1"), IsOk());
  ASSERT_THAT(bench.add("b", "http://127.0.0.1:2"), IsOk());
  bench.clock.advance(1s);
  bench.registry.mark_busy("a", "op_1");
  ASSERT_THAT(bench.add("a", "http://127.0.0.1:1"), IsOk());  // free again
  EXPECT_EQ(bench.registry.available().front().worker_id, "b");
}

TEST(WorkerRegistry, AnUnreachableWorkerComesBackWithItsNextSignOfLife) {
  Bench bench;
  ASSERT_THAT(bench.add("a", "http://127.0.0.1:1"), IsOk());
  bench.registry.mark_unreachable("a");
  EXPECT_TRUE(bench.registry.available().empty());
  ASSERT_THAT(bench.add("a", "http://127.0.0.1:1"), IsOk());
  EXPECT_EQ(bench.registry.available().size(), 1u);
}

TEST(WorkerRegistry, RefusesAddressesThatAreNotAPlainEndpoint) {
  Bench bench;
  for (const char* url :
       {"", "http://", "https://h:1", "http://u@h:1", "http://h:1/path", "http://h:1#x", "http://h:1?x",
        "file:///etc/passwd", "gopher://h:1", "http://h:1\r\nX: y", "http://h\\x"}) {
    EXPECT_THAT(bench.add("a", url), FailsWith(ErrorCode::kInvalidArgument)) << url;
  }
  EXPECT_THAT(bench.add("../x", "http://h:1"), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_TRUE(bench.registry.list().empty());
}

}  // namespace
}  // namespace ktrdr::services
