// What a server does once a day: checkpoints that are too old go, objects that no row names, and idempotency
// keys of last week. At once when it starts, and then by the clock; after trouble it tries again in an hour.
// Several servers of one database may all do it.
//
// Owned by whoever wires the process; called by one loop.
#pragma once

#include <optional>

#include "ktrdr/core/clock.h"
#include "ktrdr/services/checkpoint_service.h"
#include "ktrdr/storage/operations_repository.h"

namespace ktrdr::services {

class Housekeeping {
 public:
  Housekeeping(const Clock& clock, CheckpointService& checkpoints, storage::OperationsRepository& operations,
               Duration checkpoint_max_age);

  // To be called every minute or so; does nothing until it is time.
  void tend();

 private:
  bool keep_house();

  const Clock& clock_;
  CheckpointService& checkpoints_;
  storage::OperationsRepository& operations_;
  const Duration checkpoint_max_age_;
  std::optional<Duration> next_;  // of the monotonic clock
};

}  // namespace ktrdr::services
