// What a run of the chaos suite counts, and the table that it prints. Safe to use from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "ktrdr/core/synchronized.h"

namespace ktrdr::chaos {

enum class Count {
  // must be 0
  kOperationsLost,
  kCheckpointsLost,
  kModelsDiffer,
  kStaleWritesAccepted,
  kOperationsStuck,
  kHistoriesWrong,
  kRepeatsAnsweredOtherwise,
  kStrangeAnswers,
  kRewinds,                 // no fault of ours damages a file
  kRoundsThatProveNothing,  // no write of a superseded attempt was there to be refused
  // must be more than 0, else the run proves nothing
  kOperationsAcknowledged,
  kOperationsCompleted,
  kCheckpointsAcknowledged,
  kCheckpointsVerified,
  kStaleWritesRefusedByHand,
  kStaleWritesRefusedOfWorkers,
  kRequestsRepeated,
  kCancels,
  kResumes,
  // told only
  kRetries,
  kUnanswered,
  kEnd
};

enum class Fault {
  kWorkerKilled,
  kServerKilled,
  kWorkerFrozen,
  kServerFrozen,
  kDatabaseKilled,
  kDatabaseFrozen,
  kDatabaseRestarted,
  kWorkerCutOff,
  kWorkerPartitioned,
  kDatabaseCutOff,
  kSlow,
  kReset,
  kDiskFull,
  kClockJumped,
  kEnd
};

const char* name_of(Fault fault);
const char* name_of(Count count);

class Score {
 public:
  void add(Count count, std::int64_t by = 1);
  std::int64_t of(Count count);
  // Adds one and says on stderr what happened.
  void wrong(Count count, const std::string& what);

  void struck(Fault fault);
  std::int64_t kills();
  std::int64_t freezes();
  // A fault that this machine has no means for: it needn't strike.
  void impossible(Fault fault, const std::string& why);

  struct AtLeast {
    std::int64_t kills = 1, freezes = 1;
  };
  // Prints the table to stdout. False when a count is not as it must be, or a fault never struck.
  bool print(const AtLeast& at_least);

 private:
  struct Counts {
    std::array<std::int64_t, static_cast<std::size_t>(Count::kEnd)> counts{};
    std::array<std::int64_t, static_cast<std::size_t>(Fault::kEnd)> faults{};
    std::map<Fault, std::string> impossible;
  };
  Synchronized<Counts> counts_;
};

}  // namespace ktrdr::chaos
