// The protocol of an operation over the real code, under ten thousand seeds (see docs/testing.md).
//
//   KTRDR_SIM_SEED=123 simulator_test          one seed, with its trace
//   KTRDR_SIM_SEEDS=1000000 simulator_test     more of them
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "ktrdr/core/log.h"
#include "simulation.h"

namespace ktrdr::simulator {
namespace {

constexpr std::uint64_t kSeeds = 10'000;

std::optional<std::uint64_t> number_from(const char* variable) {
  const char* text = std::getenv(variable);
  if (!text) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

std::string story_of(std::uint64_t seed, Mutant mutant) {
  Tally ignored;
  const Outcome outcome = simulate(seed, ignored, mutant, /*tracing=*/true);
  std::string story = "seed " + std::to_string(seed) + ": " + outcome.violation.value_or("no violation") +
                      "\nthe last steps:\n";
  for (const std::string& step : outcome.trace) story += "  " + step + "\n";
  return story + "again with: KTRDR_SIM_SEED=" + std::to_string(seed) +
         " build/bin/simulator_test --gtest_filter=*NoSeed*\n";
}

// What the code logs is told by the trace.
const bool is_quiet = [] {
  start_logging("simulator_test", LogLevel::kError);
  return true;
}();

// A seed that ends in a CHECK of ours prints no story, so its number is told at least.
volatile std::sig_atomic_t seed_under_way = 0;
extern "C" void tell_seed(int) {
  char text[64];
  const int length =
      std::snprintf(text, sizeof text, "aborted in seed %d\n", static_cast<int>(seed_under_way));
  if (length > 0) static_cast<void>(!::write(STDERR_FILENO, text, static_cast<std::size_t>(length)));
}

Outcome simulate_and_tell(std::uint64_t seed, Tally& tally, Mutant mutant) {
  seed_under_way = static_cast<std::sig_atomic_t>(seed);
  std::signal(SIGABRT, tell_seed);
  return simulate(seed, tally, mutant);
}

// Without each of these a campaign would prove less than it says.
constexpr const char* kMustHappen[] = {
    "SIGTERM",
    "a poison batch ended it",
    "a second copy of a request comes late",
    "answer lost",
    "checkpoint storage can't be read now",
    "completed after a resume",
    "disk full",
    "handed back on SIGTERM",
    "handed over on SIGTERM",
    "heartbeat won against the end of its lease",
    "its restarts were used up",
    "lease lapsed",
    "lease lapsed while cancelling",
    "newest checkpoint damaged",
    "no answer in time",
    "no room for a task",
    "poison batch fails",
    "poison batch kills its worker",
    "object swept",
    "refused cancel: CONFLICT",
    "refused cancel: PRECONDITION_FAILED",
    "refused claim: CONFLICT",
    "refused claim: STALE",
    "refused commit: CONFLICT",
    "refused commit: STALE",
    "refused complete: STALE",
    "refused create: CONFLICT",
    "refused drop_checkpoints: CHECKPOINT_NOT_FOUND",
    "refused drop_checkpoints: CONFLICT",
    "refused fail_unclaimed: CONFLICT",
    "refused heartbeat: STALE",
    "refused resume: CHECKPOINT_NOT_FOUND",
    "refused resume: CONFLICT",
    "refused resume: PRECONDITION_FAILED",
    "refused rewind: CONFLICT",
    "refused rewind: STALE",
    "refused retry: CONFLICT",
    "refused retry: PRECONDITION_FAILED",
    "refused drop_checkpoints: PRECONDITION_FAILED",
    "refused stopped: STALE",
    "repeated claim",
    "repeated commit",
    "repeated complete",
    "repeated create by its key",
    "repeated fail",
    "repeated resume by its key",
    "repeated retry by its key",
    "repeated rewind",
    "repeated stopped",
    "request lost",
    "restarted after a failure",
    "restarted after a lapsed lease",
    "server frozen",
    "server killed",
    "slow network",
    "slow store",
    "the store failed after it did it",
    "the store failed before it did it",
    "wall clock jumped",
    "went back a checkpoint",
    "worker frozen",
    "worker killed",
};

void print(const Tally& tally) {
  for (const auto& [what, times] : tally) {
    std::printf("%10lld  %s\n", static_cast<long long>(times), what.c_str());
  }
}

TEST(Simulator, NoSeedBreaksTheProtocol) {
  const auto only = number_from("KTRDR_SIM_SEED");
  if (only) std::printf("%s", story_of(*only, Mutant::kNone).c_str());
  const std::uint64_t first = only.value_or(1);
  const std::uint64_t count = only ? 1 : number_from("KTRDR_SIM_SEEDS").value_or(kSeeds);
  Tally tally;
  std::int64_t steps = 0;
  Duration simulated{0};
  const std::clock_t begin = std::clock();
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const Outcome outcome = simulate_and_tell(seed, tally, Mutant::kNone);
    ASSERT_FALSE(outcome.violation) << story_of(seed, Mutant::kNone);
    steps += outcome.steps;
    simulated += outcome.simulated;
  }
  const double took = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  std::printf("%llu seeds in %.1f s of a core (%.0f per second), %lld steps, %.1f simulated days\n",
              static_cast<unsigned long long>(count), took, static_cast<double>(count) / took,
              static_cast<long long>(steps), std::chrono::duration<double>(simulated).count() / 86400);
  print(tally);
  for (const char* what : kMustHappen)
    EXPECT_TRUE(count < kSeeds || tally.contains(what)) << what << ": never";
}

TEST(Simulator, EqualSeedsAreEqualStories) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Tally tally, again;
    const Outcome outcome = simulate(seed, tally, Mutant::kNone, /*tracing=*/true);
    const Outcome same = simulate(seed, again, Mutant::kNone, /*tracing=*/true);
    EXPECT_EQ(outcome.trace, same.trace);
    EXPECT_EQ(outcome.steps, same.steps);
    EXPECT_EQ(tally, again);
  }
}

class SimulatorMutant : public ::testing::TestWithParam<std::pair<Mutant, std::string_view>> {};

TEST_P(SimulatorMutant, IsNoticed) {
  constexpr std::uint64_t kMost = 2000;
  Tally tally;
  for (std::uint64_t seed = 1; seed <= kMost; ++seed) {
    const Outcome outcome = simulate_and_tell(seed, tally, GetParam().first);
    if (!outcome.violation) continue;
    std::printf("noticed with seed %llu: %s\n", static_cast<unsigned long long>(seed),
                outcome.violation->c_str());
    return;
  }
  FAIL() << "nobody noticed within " << kMost << " seeds";
}

INSTANTIATE_TEST_SUITE_P(All, SimulatorMutant, ::testing::ValuesIn(kMutants),
                         [](const auto& mutant) { return std::string(mutant.param.second); });

}  // namespace
}  // namespace ktrdr::simulator
