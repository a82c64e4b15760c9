#include "ktrdr/services/calls_in_flight.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "ktrdr/core/testing/manual_clock.h"

namespace ktrdr::services {
namespace {

using ktrdr::testing::ManualClock;
using namespace std::chrono_literals;

struct TestBench {
  ManualClock clock;
  CallsInFlight calls{clock};
};

TEST(CallsInFlight, ACallAgesWhileItIsUnderWayAndNoLonger) {
  TestBench bench;
  EXPECT_FALSE(bench.calls.has_one_older_than(0s)) << "there is none";
  {
    const auto call = bench.calls.begin();
    bench.clock.advance(2s);
    EXPECT_TRUE(bench.calls.has_one_older_than(2s));
    EXPECT_FALSE(bench.calls.has_one_older_than(3s));
  }
  EXPECT_FALSE(bench.calls.has_one_older_than(0s));
}

TEST(CallsInFlight, TheOldestOneCountsWhicheverEndsFirst) {
  TestBench bench;
  const auto stuck = bench.calls.begin();
  bench.clock.advance(2s);
  { const auto quick = bench.calls.begin(); }
  EXPECT_TRUE(bench.calls.has_one_older_than(2s));
}

TEST(CallsInFlight, OfTwoThatBeganAtOnceOneRemains) {
  TestBench bench;
  const auto stuck = bench.calls.begin();
  { const auto quick = bench.calls.begin(); }
  bench.clock.advance(2s);
  EXPECT_TRUE(bench.calls.has_one_older_than(2s));
}

TEST(CallsInFlight, ACallThatThrewIsOver) {
  TestBench bench;
  const auto failing_call = [&] {
    const auto call = bench.calls.begin();
    throw std::runtime_error("no memory");
  };
  EXPECT_THROW(failing_call(), std::runtime_error);
  bench.clock.advance(2s);
  EXPECT_FALSE(bench.calls.has_one_older_than(0s));
}

}  // namespace
}  // namespace ktrdr::services
