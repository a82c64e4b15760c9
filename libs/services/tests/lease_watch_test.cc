#include "ktrdr/services/lease_watch.h"

#include <gtest/gtest.h>

namespace ktrdr::services {
namespace {

using storage::Pulse;
using namespace std::chrono_literals;

constexpr Duration kLease = 8s;

Pulse pulse(std::int64_t heartbeat, Attempt attempt = 1, const char* owner = "worker-1") {
  return {.id = {"op_1"},
          .attempt = attempt,
          .owner = WorkerId{owner},
          .owner_name = "desk",
          .heartbeat_sequence = heartbeat};
}

// Looks every interval, as the loop does, from `from` until `until`; returns what was found silent at the
// last look.
std::vector<Pulse> look(LeaseWatch& watch, Duration from, Duration until, const Pulse& seen) {
  std::vector<Pulse> silent;
  for (Duration now = from; now <= until; now += watch.interval()) silent = watch.observe({seen}, now);
  return silent;
}

TEST(LeaseWatch, FindsAWorkerThatStoodStillForAWholeLease) {
  LeaseWatch watch(kLease);
  EXPECT_TRUE(look(watch, 100s, 107s, pulse(5)).empty()) << "not yet";
  EXPECT_EQ(look(watch, 108s, 108s, pulse(5)).size(), 1u);
}

// A worker's death costs the rest of a lease at most: the figure is 1.5 leases until somebody else trains.
TEST(LeaseWatch, AWorkerThatDiedIsFoundATenthOfALeaseAfterItsLeaseAtTheLatest) {
  LeaseWatch watch(kLease);
  look(watch, 100s, 110s, pulse(5));
  Duration now = 110s + watch.interval();
  const Duration last_beat = now + 1ms;  // just after a look
  watch.observe({pulse(5)}, now);
  do {
    now += watch.interval();
  } while (watch.observe({pulse(6)}, now).empty());
  EXPECT_GE(now - last_beat, kLease);
  EXPECT_LE(now - last_beat, kLease + kLease / 10);
}

TEST(LeaseWatch, ABeatBeginsANewLease) {
  LeaseWatch watch(kLease);
  look(watch, 100s, 107s, pulse(5));
  EXPECT_TRUE(look(watch, 108s, 115s, pulse(6)).empty());
  EXPECT_EQ(look(watch, 116s, 116s, pulse(6)).size(), 1u);
}

TEST(LeaseWatch, AnotherAttemptOrOwnerBeginsANewLease) {
  LeaseWatch watch(kLease);
  look(watch, 100s, 107s, pulse(5));
  EXPECT_TRUE(look(watch, 108s, 115s, pulse(5, 2)).empty());
  EXPECT_TRUE(look(watch, 116s, 123s, pulse(5, 2, "worker-2")).empty());
}

// A restarted server knows nothing, and an old heartbeat in the row proves nothing.
TEST(LeaseWatch, ANewServerWatchesForAWholeLeaseItself) {
  LeaseWatch watch(kLease);
  EXPECT_TRUE(watch.observe({pulse(5)}, 1'000'000s).empty());
}

TEST(LeaseWatch, AFreezeOfTheServerIsNotSilenceOfTheWorker) {
  LeaseWatch watch(kLease);
  look(watch, 100s, 104s, pulse(5));
  EXPECT_TRUE(watch.observe({pulse(5)}, 500s).empty()) << "nobody watched for 396 s";
  EXPECT_TRUE(look(watch, 501s, 507s, pulse(5)).empty());
  EXPECT_EQ(look(watch, 508s, 508s, pulse(5)).size(), 1u) << "but a silence that was watched counts";
}

TEST(LeaseWatch, AnOutageOfTheStoreIsNotSilenceOfTheWorker) {
  LeaseWatch watch(kLease);
  look(watch, 100s, 107s, pulse(5));
  watch.forget();
  EXPECT_TRUE(look(watch, 108s, 115s, pulse(5)).empty());
}

TEST(LeaseWatch, TellsHowLongTheMostSilentOneHasBeenSilent) {
  LeaseWatch watch(kLease);
  EXPECT_EQ(watch.longest_silence(), Duration(0));
  look(watch, 100s, 103s, pulse(5));
  EXPECT_EQ(watch.longest_silence(), 2800ms) << "since the first look, and looks are 400 ms apart";
  watch.observe({pulse(6)}, 103200ms);
  EXPECT_EQ(watch.longest_silence(), Duration(0));
  watch.observe({}, 103600ms);
  EXPECT_EQ(watch.longest_silence(), Duration(0));
}

TEST(LeaseWatch, AnOperationThatWentAwayIsForgotten) {
  LeaseWatch watch(kLease);
  look(watch, 100s, 107s, pulse(5));
  EXPECT_TRUE(watch.observe({}, 108s).empty());
  EXPECT_TRUE(watch.observe({pulse(5)}, 109s).empty()) << "seen for the first time again";
}

TEST(LeaseWatch, TheMessageNamesWorkerHeartbeatAndCheckpoint) {
  Pulse silent = pulse(5);
  silent.last_heartbeat_at = "2026-01-01T00:00:00.000Z";
  silent.current_checkpoint = CheckpointRef{1, 7};
  const std::string message = lease_lapsed_message(silent, kLease);
  for (const char* part :
       {"desk", "worker-1", "8 s", "2026-01-01T00:00:00.000Z", "1-7", "ktrdr resume op_1"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message << " lacks " << part;
  }
}

}  // namespace
}  // namespace ktrdr::services
