#include "score.h"

#include <algorithm>
#include <cstdio>

#include "ktrdr/core/check.h"

namespace ktrdr::chaos {
namespace {

enum class Must { kBeZero, kBePositive, kBeAnything };

struct Row {
  Count count;
  const char* name;
  Must must;
};

constexpr Row kRows[] = {
    {Count::kOperationsLost, "acknowledged operations lost", Must::kBeZero},
    {Count::kCheckpointsLost, "acknowledged checkpoints lost", Must::kBeZero},
    {Count::kModelsDiffer, "finished models whose SHA-256 differs from the undisturbed run", Must::kBeZero},
    {Count::kStaleWritesAccepted, "writes of superseded attempts accepted", Must::kBeZero},
    {Count::kStaleWritesRefusedByHand, "writes of superseded attempts refused, made by hand",
     Must::kBePositive},
    {Count::kStaleWritesRefusedOfWorkers, "writes of superseded attempts refused, of real workers",
     Must::kBePositive},
    {Count::kRoundsThatProveNothing, "rounds in which none was refused", Must::kBeZero},
    {Count::kOperationsStuck, "operations stuck two leases after the faults stop", Must::kBeZero},
    {Count::kHistoriesWrong, "histories with a missing or doubled epoch", Must::kBeZero},
    {Count::kRepeatsAnsweredOtherwise, "repeated requests with another answer", Must::kBeZero},
    {Count::kStrangeAnswers, "answers that the protocol does not explain", Must::kBeZero},
    {Count::kOperationsAcknowledged, "operations acknowledged", Must::kBePositive},
    {Count::kOperationsCompleted, "operations completed and compared", Must::kBePositive},
    {Count::kCheckpointsAcknowledged, "checkpoints acknowledged", Must::kBePositive},
    {Count::kCheckpointsVerified, "checkpoints read and verified", Must::kBePositive},
    {Count::kRequestsRepeated, "old requests repeated", Must::kBePositive},
    {Count::kCancels, "cancels accepted", Must::kBePositive},
    {Count::kResumes, "resumes accepted", Must::kBePositive},
    {Count::kRetries, "retries of what had no checkpoint", Must::kBeAnything},
    {Count::kRewinds, "checkpoints given up as damaged", Must::kBeZero},
    {Count::kUnanswered, "requests of people without an answer", Must::kBeAnything},
};

constexpr const char* kFaults[] = {
    "worker killed",
    "server killed",
    "worker frozen longer than its lease",
    "server frozen",
    "database killed",
    "database frozen",
    "database restarted",
    "worker cut off from a server",
    "worker partitioned from everybody, packets dropped",
    "server cut off from the database",
    "connections slow",
    "connections reset",
    "disk full",
    "wall clock jumped",
};
static_assert(std::size(kFaults) == static_cast<std::size_t>(Fault::kEnd));

template <class Enum>
constexpr std::size_t index(Enum value) {
  return static_cast<std::size_t>(value);
}

bool holds(Must must, std::int64_t value) {
  return must == Must::kBeAnything || (must == Must::kBeZero) == (value == 0);
}

const char* text_of(Must must) {
  switch (must) {
    case Must::kBeZero: return "0";
    case Must::kBePositive: return "> 0";
    case Must::kBeAnything: return "";
  }
  return "";
}

bool print_row(const std::string& name, std::int64_t value, const std::string& must_be, bool good) {
  std::printf("| %-68s | %8lld | %-10s | %-5s |\n", name.c_str(), static_cast<long long>(value),
              must_be.c_str(), good ? "ok" : "WRONG");
  return good;
}

bool print_at_least(const std::string& name, std::int64_t value, std::int64_t bound) {
  return print_row(name, value, ">= " + std::to_string(bound), value >= bound);
}

}  // namespace

const char* name_of(Fault fault) { return kFaults[index(fault)]; }

const char* name_of(Count count) {
  const auto* row =
      std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& one) { return one.count == count; });
  CHECK(row != std::end(kRows), "every count has a row");
  return row->name;
}

void Score::add(Count count, std::int64_t by) { counts_.lock()->counts[index(count)] += by; }

std::int64_t Score::of(Count count) { return counts_.lock()->counts[index(count)]; }

void Score::wrong(Count count, const std::string& what) {
  add(count);
  std::fprintf(stderr, "WRONG: %s: %s\n", name_of(count), what.c_str());
}

void Score::struck(Fault fault) { ++counts_.lock()->faults[index(fault)]; }

std::int64_t Score::kills() {
  const auto faults = counts_.lock()->faults;
  return faults[index(Fault::kWorkerKilled)] + faults[index(Fault::kServerKilled)] +
         faults[index(Fault::kDatabaseKilled)];
}

std::int64_t Score::freezes() {
  const auto faults = counts_.lock()->faults;
  return faults[index(Fault::kWorkerFrozen)] + faults[index(Fault::kServerFrozen)] +
         faults[index(Fault::kDatabaseFrozen)];
}

void Score::impossible(Fault fault, const std::string& why) { counts_.lock()->impossible[fault] = why; }

bool Score::print(const AtLeast& at_least) {
  bool good = true;
  std::printf("| %-68s | %8s | %-10s | %-5s |\n", "checked", "count", "must be", "");
  for (const Row& row : kRows) {
    const std::int64_t value = of(row.count);
    good = print_row(row.name, value, text_of(row.must), holds(row.must, value)) && good;
  }
  const Counts counts = *counts_.lock();
  for (std::size_t i = 0; i < counts.faults.size(); ++i) {
    const auto impossible = counts.impossible.find(static_cast<Fault>(i));
    const std::string name = std::string("fault: ") + kFaults[i];
    if (impossible == counts.impossible.end()) good = print_at_least(name, counts.faults[i], 1) && good;
    else print_row(name + " (impossible here: " + impossible->second + ")", counts.faults[i], "", true);
  }
  good = print_at_least("kills", kills(), at_least.kills) && good;
  good = print_at_least("freezes", freezes(), at_least.freezes) && good;
  std::fflush(stdout);
  return good;
}

}  // namespace ktrdr::chaos
