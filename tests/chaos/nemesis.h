// Breaks things by a seeded plan, and repairs them. The plan (which fault, whom, for how long, and how long
// until the next) is a function of the seed alone; only the moment moves when a victim is still down from the
// fault before.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "book.h"
#include "cluster.h"

namespace ktrdr::chaos {

class Nemesis {
 public:
  Nemesis(Cluster& cluster, Score& score, std::uint64_t seed);

  void rage(Duration for_so_long);
  // Ends every fault. Everything is up when this returns, or it was not so within `within`: false.
  bool calm(Duration within);

 private:
  struct Card {  // one decision
    Fault fault = Fault::kEnd;
    std::uint64_t victim = 0;
    double share = 0;  // of the fault's longest duration beyond its shortest
    Duration pause{0};
  };
  struct Wound {
    std::string where;  // what can't be hurt again meanwhile
    Duration heals_at{0};
    std::function<void()> heal;
  };

  Card next_card();
  void play(const Card& card, Duration end);
  void wait_until(Duration moment);
  bool wait_for(const std::function<bool()>& condition, Duration within);
  void tend();
  void strike(const Card& card);
  bool is_wounded(const std::string& where) const;
  void wound(const std::string& where, Duration heals_after, std::function<void()> heal);

  std::string where(const Card& card) const;
  Member& member(const Card& card);
  std::vector<system_test::FaultProxy*> links(const Card& card);
  Duration duration(const Card& card) const;

  Cluster& cluster_;
  Score& score_;
  Random random_;
  SystemClock clock_;
  std::vector<Card> deck_;
  std::vector<Wound> wounds_;
};

}  // namespace ktrdr::chaos
