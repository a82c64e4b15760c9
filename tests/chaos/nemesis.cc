#include "nemesis.h"

#include <algorithm>
#include <cstdio>

#include "network_namespace.h"

namespace ktrdr::chaos {
namespace {

using std::chrono::milliseconds;
using system_test::FaultProxy;
using system_test::LinkMode;

constexpr Duration kPatience = std::chrono::seconds(8);
constexpr int kShortestPauseMs = 50, kLongestPauseMs = 700;
constexpr std::int64_t kLongestJump = 24 * 3600;  // s; a week would make the server forget idempotency keys
constexpr Duration kUntilNext = Duration(0);

// How often a fault is in the deck, whom it can hit, and how long it lasts. A deck is played to its end
// before it is shuffled again, so that every fault strikes.
enum class Where {
  kWorker,
  kServer,
  kDatabase,
  kWorkerLink,
  kWorkerNetwork,
  kDatabaseLink,
  kAnyLink,
  kDisk,
  kClock
};
struct FaultKind {
  Fault fault;
  int copies;
  Where where;
  Duration shortest, longest;
};
constexpr Duration part_of_lease(double part) {
  return Duration(static_cast<Duration::rep>(part * static_cast<double>(kLease.count())));
}
constexpr FaultKind kKinds[] = {
    {Fault::kWorkerKilled, 14, Where::kWorker, milliseconds(50), milliseconds(600)},
    {Fault::kServerKilled, 6, Where::kServer, milliseconds(50), milliseconds(1000)},
    {Fault::kWorkerFrozen, 5, Where::kWorker, part_of_lease(1.3), part_of_lease(1.9)},
    {Fault::kServerFrozen, 2, Where::kServer, part_of_lease(0.5), part_of_lease(1.4)},
    {Fault::kDatabaseKilled, 1, Where::kDatabase, milliseconds(50), milliseconds(1000)},
    {Fault::kDatabaseFrozen, 1, Where::kDatabase, part_of_lease(0.5), part_of_lease(1.4)},
    {Fault::kDatabaseRestarted, 1, Where::kDatabase, kUntilNext, kUntilNext},
    {Fault::kWorkerCutOff, 2, Where::kWorkerLink, part_of_lease(0.5), part_of_lease(2)},
    {Fault::kWorkerPartitioned, 3, Where::kWorkerNetwork, part_of_lease(0.5), part_of_lease(2)},
    {Fault::kDatabaseCutOff, 1, Where::kDatabaseLink, part_of_lease(0.5), part_of_lease(1.5)},
    {Fault::kSlow, 2, Where::kAnyLink, milliseconds(1000), milliseconds(3000)},
    {Fault::kReset, 3, Where::kAnyLink, kUntilNext, milliseconds(500)},
    {Fault::kDiskFull, 1, Where::kDisk, milliseconds(500), milliseconds(2500)},
    {Fault::kClockJumped, 2, Where::kClock, kUntilNext, kUntilNext},
};

const FaultKind& kind_of(Fault fault) {
  return *std::find_if(std::begin(kKinds), std::end(kKinds),
                       [&](const FaultKind& kind) { return kind.fault == fault; });
}

double share_of(std::uint64_t bits) { return static_cast<double>(bits >> 11U) * 0x1.0p-53; }

}  // namespace

Nemesis::Nemesis(Cluster& cluster, Score& score, std::uint64_t seed)
    : cluster_(cluster), score_(score), random_(seed) {}

// ---- the plan ----

Nemesis::Card Nemesis::next_card() {
  if (deck_.empty()) {
    for (const FaultKind& kind : kKinds) {
      for (int i = 0; i < kind.copies; ++i) {
        const auto pause = milliseconds(kShortestPauseMs +
                                        static_cast<int>(random_() % (kLongestPauseMs - kShortestPauseMs)));
        deck_.push_back({kind.fault, random_(), share_of(random_()), pause});
      }
    }
    for (std::size_t i = deck_.size(); i > 1; --i) std::swap(deck_[i - 1], deck_[random_() % i]);
  }
  const Card card = deck_.back();
  deck_.pop_back();
  return card;
}

Duration Nemesis::duration(const Card& card) const {
  const FaultKind& kind = kind_of(card.fault);
  const auto more = static_cast<double>((kind.longest - kind.shortest).count()) * card.share;
  return kind.shortest + Duration(static_cast<Duration::rep>(more));
}

// ---- time ----

void Nemesis::rage(Duration for_so_long) {
  const Duration end = clock_.monotonic() + for_so_long;
  while (clock_.monotonic() < end) play(next_card(), end);
}

void Nemesis::play(const Card& card, Duration end) {
  const std::string place = where(card);
  if (wait_for([&] { return !is_wounded(place); }, kPatience)) strike(card);
  else std::fprintf(stderr, "chaos: %s was spared, %s is still down\n", name_of(card.fault), place.c_str());
  wait_until(std::min(end, clock_.monotonic() + card.pause));
}

void Nemesis::wait_until(Duration moment) {
  wait_for([] { return false; }, moment - clock_.monotonic());
}

bool Nemesis::wait_for(const std::function<bool()>& condition, Duration within) {
  return system_test::eventually(
      [&] {
        tend();
        return condition();
      },
      within);
}

void Nemesis::tend() {
  const Duration now = clock_.monotonic();
  for (std::size_t i = 0; i < wounds_.size();) {
    if (wounds_[i].heals_at > now) {
      ++i;
      continue;
    }
    const auto heal = wounds_[i].heal;
    wounds_.erase(wounds_.begin() + static_cast<std::ptrdiff_t>(i));
    heal();
  }
  cluster_.tend();
}

bool Nemesis::calm(Duration within) {
  for (Wound& wound : wounds_) wound.heals_at = Duration(0);
  for (std::size_t i = 0; i < kServers + kWorkers; ++i) cluster_.set_clock(i, 0);
  return wait_for([&] { return wounds_.empty() && cluster_.is_ready(); }, within);
}

// ---- wounds ----

bool Nemesis::is_wounded(const std::string& where) const {
  for (std::size_t i = 0; i < kServers; ++i) {
    Member& server = cluster_.server(i);
    if (server.name() == where && !server.is_ready()) return true;
  }
  for (std::size_t i = 0; i < kWorkers; ++i) {
    Member& worker = cluster_.worker(i);
    if (worker.name() == where && !worker.is_ready()) return true;
  }
  return std::any_of(wounds_.begin(), wounds_.end(),
                     [&](const Wound& wound) { return wound.where == where; });
}

void Nemesis::wound(const std::string& where, Duration heals_after, std::function<void()> heal) {
  wounds_.push_back({where, clock_.monotonic() + heals_after, std::move(heal)});
}

// ---- victims ----

Member& Nemesis::member(const Card& card) {
  return kind_of(card.fault).where == Where::kServer ? cluster_.server(card.victim % kServers)
                                                     : cluster_.worker(card.victim % kWorkers);
}

std::vector<FaultProxy*> Nemesis::links(const Card& card) {
  const auto of_worker = [&](std::size_t worker) {
    std::vector<FaultProxy*> ways;
    for (std::size_t server = 0; server < kServers; ++server) {
      // From both servers, or from one of them.
      if (card.victim / 8 % 3 != server) ways.push_back(&cluster_.worker_link(worker, server));
    }
    return ways;
  };
  const std::size_t kind = card.victim % 8;
  switch (kind_of(card.fault).where) {
    case Where::kWorkerLink: return of_worker(card.victim % kWorkers);
    case Where::kDatabaseLink: return {&cluster_.database_link(card.victim % kServers)};
    default: break;
  }
  if (kind < 2) return {&cluster_.database_link(kind)};
  if (kind < 4) return {&cluster_.people_link(kind - 2)};
  return of_worker(kind % kWorkers);
}

std::string Nemesis::where(const Card& card) const {
  switch (kind_of(card.fault).where) {
    case Where::kWorker: return cluster_.worker(card.victim % kWorkers).name();
    case Where::kServer: return cluster_.server(card.victim % kServers).name();
    case Where::kDatabase: return "database";
    case Where::kWorkerLink:
    case Where::kDatabaseLink:
    case Where::kAnyLink: return "links";  // one of them at a time: a mode is not a sum
    case Where::kWorkerNetwork: return "network of " + cluster_.worker(card.victim % kWorkers).name();
    case Where::kDisk: return "disk";
    case Where::kClock: return "clock";
  }
  return "";
}

// ---- faults ----

void Nemesis::strike(const Card& card) {
  const std::string place = where(card);
  const Duration lasts = duration(card);
  const auto set_mode = [&](LinkMode mode, Duration delay = Duration(0)) {
    const auto hit = links(card);
    for (FaultProxy* link : hit) link->set_mode(mode, delay);
    wound(place, lasts, [hit] {
      for (FaultProxy* link : hit) link->set_mode(LinkMode::kPass);
    });
  };
  switch (card.fault) {
    case Fault::kWorkerKilled:
    case Fault::kServerKilled: {
      Member& victim = member(card);
      victim.kill();
      wound(place, lasts, [&victim] { victim.start(); });
      break;
    }
    case Fault::kWorkerFrozen:
    case Fault::kServerFrozen: {
      Member& victim = member(card);
      victim.freeze();
      wound(place, lasts, [&victim] { victim.thaw(); });
      break;
    }
    case Fault::kDatabaseKilled:
      cluster_.database().kill();
      wound(place, lasts, [this] { cluster_.database().start(); });
      break;
    case Fault::kDatabaseFrozen:
      cluster_.database().freeze();
      wound(place, lasts, [this] { cluster_.database().thaw(); });
      break;
    case Fault::kDatabaseRestarted:
      cluster_.database().stop();
      cluster_.database().start();
      break;
    case Fault::kWorkerCutOff:
    case Fault::kDatabaseCutOff: set_mode(LinkMode::kBlackhole); break;
    case Fault::kWorkerPartitioned: {
      if (!cluster_.can_partition()) return;
      const std::string address = Cluster::address_of_worker(card.victim % kWorkers);
      cut_off(address);
      wound(place, lasts, [address] { reconnect(address); });
      break;
    }
    case Fault::kSlow: set_mode(LinkMode::kDelay, milliseconds(20 + card.victim / 64 % 200)); break;
    case Fault::kReset: set_mode(LinkMode::kReset); break;
    case Fault::kDiskFull:
      if (cluster_.disk() == nullptr) return;
      cluster_.disk()->fill();
      wound(place, lasts, [this] { cluster_.disk()->empty(); });
      break;
    case Fault::kClockJumped:
      if (!cluster_.can_jump()) return;
      cluster_.set_clock(card.victim % (kServers + kWorkers),
                         static_cast<std::int64_t>((2 * card.share - 1) * static_cast<double>(kLongestJump)));
      break;
    case Fault::kEnd: return;
  }
  score_.struck(card.fault);
}

}  // namespace ktrdr::chaos
