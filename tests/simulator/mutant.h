// Known mistakes, one at a time: the simulator must notice each, else it proves nothing.
#pragma once

#include <array>
#include <string_view>
#include <utility>

namespace ktrdr::simulator {

enum class Mutant {
  kNone,
  kStaleAttemptAccepted,
  kZombieHeartbeatAccepted,
  kTwoClaims,
  kResumeCutsOffARun,
  kRepeatedCommitRefused,
  kOrphanNotWatched,
  kCompleteNotStored,
  kRetentionDropsTheOneBefore,
  kSweepTakesCurrentAttempt,
  kIdempotencyKeyForgotten,
  kPreconditionIgnored,
  kRefusedCancelIsStored,
  kCreateLost,
  kObjectNotDurable,
  kOptimizerNotRestored,
  kPoisonNotNoticed,
  kRestartedForEver,
};

inline constexpr std::array kMutants = {
    std::pair{Mutant::kStaleAttemptAccepted, std::string_view("StaleAttemptAccepted")},
    std::pair{Mutant::kZombieHeartbeatAccepted, std::string_view("ZombieHeartbeatAccepted")},
    std::pair{Mutant::kTwoClaims, std::string_view("TwoClaims")},
    std::pair{Mutant::kResumeCutsOffARun, std::string_view("ResumeCutsOffARun")},
    std::pair{Mutant::kRepeatedCommitRefused, std::string_view("RepeatedCommitRefused")},
    std::pair{Mutant::kOrphanNotWatched, std::string_view("OrphanNotWatched")},
    std::pair{Mutant::kCompleteNotStored, std::string_view("CompleteNotStored")},
    std::pair{Mutant::kRetentionDropsTheOneBefore, std::string_view("RetentionDropsTheOneBefore")},
    std::pair{Mutant::kSweepTakesCurrentAttempt, std::string_view("SweepTakesCurrentAttempt")},
    std::pair{Mutant::kIdempotencyKeyForgotten, std::string_view("IdempotencyKeyForgotten")},
    std::pair{Mutant::kPreconditionIgnored, std::string_view("PreconditionIgnored")},
    std::pair{Mutant::kRefusedCancelIsStored, std::string_view("RefusedCancelIsStored")},
    std::pair{Mutant::kCreateLost, std::string_view("CreateLost")},
    std::pair{Mutant::kObjectNotDurable, std::string_view("ObjectNotDurable")},
    std::pair{Mutant::kOptimizerNotRestored, std::string_view("OptimizerNotRestored")},
    std::pair{Mutant::kPoisonNotNoticed, std::string_view("PoisonNotNoticed")},
    std::pair{Mutant::kRestartedForEver, std::string_view("RestartedForEver")}};

}  // namespace ktrdr::simulator
