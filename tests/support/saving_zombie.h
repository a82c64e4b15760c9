// A worker that was replaced and has not noticed: it goes on saving in the name of its old attempt, by the
// real way of a worker (objects into the storage, rows through the server), again and again until it is
// stopped.
#pragma once

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "ktrdr/checkpoints/checkpoint_store.h"
#include "support/test_system.h"

namespace ktrdr::system_test {

struct ReplacedWorker {
  OperationId operation;
  Attempt attempt = 0;
  WorkerId worker;
  CheckpointRef last_saved;
};

class SavingZombie {
 public:
  // `objects` and the system must outlive it.
  SavingZombie(TestSystem& system, checkpoints::CheckpointStore& objects, const ReplacedWorker& self);

  // The object was written whole, and its row refused.
  std::int64_t refused() const { return refused_; }
  // The object was not written: a clean-up took its unfinished files.
  std::int64_t swept_away() const { return swept_away_; }
  // Must stay 0.
  std::int64_t accepted() const { return accepted_; }
  void stop();

 private:
  void save(const ReplacedWorker& self, std::int64_t sequence);

  TestSystem& system_;
  checkpoints::CheckpointStore& objects_;
  std::atomic<std::int64_t> refused_ = 0, swept_away_ = 0, accepted_ = 0;
  std::jthread thread_;
};

// The whole story, with a system that has no workers yet: two workers save the same operation's checkpoints
// at once, the late one's count for nothing, a clean-up takes them, and whoever resumes finds the
// successor's. Checkpoints lie in `objects`; `expected` is the fingerprint of the undisturbed training.
void expect_a_zombie_disturbs_nothing(TestSystem& system, checkpoints::CheckpointStore& objects,
                                      const TrainingWish& wish,
                                      const std::map<std::string, std::string>& expected,
                                      const std::vector<std::string>& worker_options = {});

}  // namespace ktrdr::system_test
