// The workers that `ktrdr serve` starts by itself, one per slot, and starts again when they die.
//
// Each runs in a session of its own and survives the server. A slot is a lock file: the server takes the
// lock, hands its descriptor to the child and closes its own, so that the lock lives exactly as long as the
// worker, whoever its parent is. A second server, or this one after a restart, can't start another worker in
// a slot that is taken.
//
// One that dies is started again, later each time (up to 30 s). After three deaths in a row, none of them
// after 10 s of life, its slot counts as one that keeps dying: the log then has the end of what the worker
// said, and problems() names it until one has lived long enough again.
//
// Used by one thread, but for problems(), which any may ask.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/synchronized.h"
#include "ktrdr/server/data_folder.h"

namespace ktrdr::server {

class LocalWorkers {
 public:
  LocalWorkers(Clock& clock, DataFolder folder, std::filesystem::path program, int slots,
               std::vector<std::string> more_arguments);

  // Reaps the dead and starts what is missing. Called by a loop, often; returns at once.
  void tend();

  // The processes started by this server that still run.
  std::vector<pid_t> running() const;

  // A sentence for each slot whose worker keeps dying.
  std::vector<std::string> problems() const { return *problems_.lock(); }

 private:
  struct Slot {
    int number = 0;
    pid_t pid = 0;  // 0: not ours, or not running
    Duration started{0};
    Duration next_start{0};  // not before
    Duration backoff{0};
    int deaths = 0;          // in a row, each soon after its start
    std::string last_death;  // "exit 1"
  };

  void reap(Slot& slot);
  void start(Slot& slot);
  void tell_problems();
  std::filesystem::path log_of(const Slot& slot) const;
  Result<pid_t> spawn(const Slot& slot, int lock_descriptor) const;

  Clock& clock_;
  const DataFolder folder_;
  const std::filesystem::path program_;
  const std::vector<std::string> more_arguments_;
  std::vector<Slot> slots_;
  mutable Synchronized<std::vector<std::string>> problems_;
};

}  // namespace ktrdr::server
