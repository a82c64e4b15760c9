// What everything in one simulation shares: time, dice, which faults may strike, what has happened, and
// whether an invariant was broken.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "dice.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/core/error.h"
#include "mutant.h"
#include "scheduler.h"

namespace ktrdr::simulator {

// Simulated time; the wall clock may jump, the monotonic clock may not.
class SimulatedClock final : public Clock {
 public:
  explicit SimulatedClock(const Scheduler& scheduler) : scheduler_(scheduler) {}
  std::int64_t wall_ms() const override { return kStart + scheduler_.now().count() + jumps_.count(); }
  Duration monotonic() const override { return scheduler_.now(); }
  void jump(Duration by) { jumps_ += by; }

 private:
  static constexpr std::int64_t kStart = 1'800'000'000'000;
  const Scheduler& scheduler_;
  Duration jumps_{0};
};

// How often what happened, over all seeds.
using Tally = std::map<std::string, std::int64_t, std::less<>>;

// How likely each fault is; a seed throws these, so that some seeds have many of one kind and none of
// another.
struct Faults {
  bool on = true;
  double lost_request = 0, lost_answer = 0, late_copy = 0;
  double slow_network = 0, store_trouble = 0, slow_store = 0, disk_full = 0, unreadable = 0, full_queue = 0;
  Duration between_strikes = std::chrono::seconds(5);
  // This step fails every training, or kills its worker, as long as faults are on.
  std::optional<std::int64_t> poison_step;
  bool poison_kills = false;
};

struct World {
  World(std::uint64_t the_seed, Mutant the_mutant, Tally& the_tally, bool is_tracing)
      : seed(the_seed), mutant(the_mutant), tally(the_tally), tracing(is_tracing) {}

  void count(std::string_view what) {
    const auto found = tally.find(what);
    if (found == tally.end()) tally.emplace(what, 1);
    else ++found->second;
  }
  // Throws the dice for a fault and counts it when it strikes.
  bool strikes(double probability, std::string_view what) {
    if (!faults.on || !dice.chance(probability)) return false;
    fault(what);
    return true;
  }
  void fault(std::string_view what) {
    count(what);
    note([&] { return "FAULT " + std::string(what); });
  }
  // `text()` is made only when somebody will read it.
  template <class Text>
  void note(Text text) {
    if (!tracing) return;
    const Process* process = scheduler.running();
    trace.push_back(time() + " s  " + (process ? process->name : "-") + ": " + text());
    if (trace.size() > kTraceLength) trace.pop_front();
  }
  void violate(const std::string& what) {
    note([&] { return "VIOLATION " + what; });
    if (!violation) violation = what;
  }

  std::string time() const {  // "12.034"
    const std::string ms = std::to_string(10'000 + (scheduler.now().count() - kBegin) % 1000);
    return std::to_string((scheduler.now().count() - kBegin) / 1000) + "." + ms.substr(2);
  }

  static constexpr std::size_t kTraceLength = 80;
  static constexpr std::int64_t kBegin = 1'000'000;

  const std::uint64_t seed;
  const Mutant mutant;
  Tally& tally;
  const bool tracing;
  std::deque<std::string> trace;
  std::optional<std::string> violation;
  Dice dice{seed};
  Scheduler scheduler{dice};
  SimulatedClock clock{scheduler};
  Faults faults;
  std::int64_t max_restarts = 0;
};

}  // namespace ktrdr::simulator
