#include "ktrdr/services/housekeeping.h"

#include "ktrdr/core/log.h"

namespace ktrdr::services {
namespace {

constexpr Duration kDay = std::chrono::hours(24);
constexpr Duration kAfterTrouble = std::chrono::hours(1);
constexpr Duration kIdempotencyKeysLive = 7 * kDay;

}  // namespace

Housekeeping::Housekeeping(const Clock& clock, CheckpointService& checkpoints,
                           storage::OperationsRepository& operations, Duration checkpoint_max_age)
    : clock_(clock),
      checkpoints_(checkpoints),
      operations_(operations),
      checkpoint_max_age_(checkpoint_max_age) {}

void Housekeeping::tend() {
  const Duration now = clock_.monotonic();
  if (next_ && now < *next_) return;
  next_ = now + (keep_house() ? kDay : kAfterTrouble);
}

bool Housekeeping::keep_house() {
  const auto cleaned = checkpoints_.clean_up(checkpoint_max_age_);
  if (!cleaned.ok()) log(LogLevel::kWarning, "old checkpoints stay", {{"error", cleaned.error().describe()}});
  else if (cleaned->checkpoints_deleted > 0) {
    log(LogLevel::kInfo, "old checkpoints removed",
        {{"operations", std::to_string(cleaned->checkpoints_deleted)}});
  }
  const auto forgotten = operations_.forget_idempotency_keys(clock_.wall_ms() - kIdempotencyKeysLive.count());
  if (!forgotten.ok())
    log(LogLevel::kWarning, "old idempotency keys stay", {{"error", forgotten.error().describe()}});
  return cleaned.ok() && forgotten.ok();
}

}  // namespace ktrdr::services
