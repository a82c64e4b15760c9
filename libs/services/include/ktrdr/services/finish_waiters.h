// Who waits for the end of an attempt, and what each of them is told. Every waiter is answered once, outside
// of the lock, by whoever tells; a waiter whose attempt is over never hears how the next one went. Safe to
// call from any thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "ktrdr/api/operation.h"
#include "ktrdr/core/clock.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/core/result.h"
#include "ktrdr/core/synchronized.h"

namespace ktrdr::services {

class FinishWaiters {
 public:
  using Row = Result<api::Operation>;
  using Then = std::function<void(Row)>;

  explicit FinishWaiters(const Clock& clock) : clock_(clock) {}

  void add(const OperationId& id, Attempt attempt, Duration timeout, Then then);
  std::vector<OperationId> awaited();  // each once

  // The row as it was read, or why it could not be read. Answers whoever waits for this operation and
  //   - waits for its attempt, which has ended: with the row;
  //   - waits for an attempt before: with the row as if it was cancelled. Only what has stopped is resumed;
  //   - has waited for long enough: with the row, or with the error.
  void tell(const OperationId& id, const Row& now);

 private:
  struct Waiter {
    Attempt attempt = 0;
    Duration deadline{0};
    Then then;
  };
  std::optional<Row> answer_to(const Waiter& waiter, const Row& now) const;

  const Clock& clock_;
  Synchronized<std::multimap<OperationId, Waiter>> waiters_;
};

}  // namespace ktrdr::services
