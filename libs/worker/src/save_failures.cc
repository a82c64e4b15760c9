#include "ktrdr/worker/save_failures.h"

namespace ktrdr::worker {
namespace {

constexpr std::int64_t kRowsToldOfInFull = 10;

bool is_power_of_ten(std::int64_t number) {
  while (number > 1 && number % 10 == 0) number /= 10;
  return number == 1;
}

bool is_told(std::int64_t row) { return row <= kRowsToldOfInFull || is_power_of_ten(row); }

}  // namespace

std::optional<std::string> SaveFailures::failed(CheckpointRef ref, const std::string& reason) {
  if (in_row_++ == 0) ++rows_;
  if (!is_told(rows_) || !is_power_of_ten(in_row_)) return std::nullopt;
  if (in_row_ == 1) return "Checkpoint " + ref.to_string() + " was not saved: " + reason;
  return std::to_string(in_row_) + " checkpoints in a row were not saved, the last one " + ref.to_string() +
         ": " + reason;
}

std::optional<std::string> SaveFailures::saved(CheckpointRef ref) {
  const std::int64_t failures = in_row_;
  in_row_ = 0;
  if (failures == 0 || !is_told(rows_)) return std::nullopt;
  return "Checkpoint " + ref.to_string() + " was saved again, after " + std::to_string(failures) +
         (failures == 1 ? " failure." : " failures in a row.");
}

}  // namespace ktrdr::worker
