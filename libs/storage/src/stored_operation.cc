#include "stored_operation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace ktrdr::storage {
namespace {

constexpr std::array kEndings = {std::pair{Ending::kNone, std::string_view("")},
                                 std::pair{Ending::kCompleted, std::string_view("complete")},
                                 std::pair{Ending::kFailed, std::string_view("fail")},
                                 std::pair{Ending::kStopped, std::string_view("stopped")},
                                 std::pair{Ending::kOrphaned, std::string_view("orphan")},
                                 std::pair{Ending::kCancelledUnclaimed, std::string_view("cancel")},
                                 std::pair{Ending::kFailedUnclaimed, std::string_view("fail_unclaimed")}};

double finite_or_zero(double value) { return std::isfinite(value) ? value : 0; }

void drop_if_not_finite(std::optional<double>& value) {
  if (value && !std::isfinite(*value)) value.reset();
}

}  // namespace

std::string_view to_string(Ending ending) {
  for (const auto& [candidate, name] : kEndings) {
    if (candidate == ending) return name;
  }
  CHECK(false, "every ending has a name");
  return {};
}

std::optional<Ending> parse_ending(std::string_view text) {
  for (const auto& [candidate, name] : kEndings) {
    if (name == text) return candidate;
  }
  return std::nullopt;
}

std::optional<CheckpointRef> StoredOperation::current() const {
  return checkpoint ? std::optional(checkpoint->info.ref) : std::nullopt;
}

bool was_owner(const StoredOperation& stored, const Fence& fence) {
  return stored.operation.attempt == fence.attempt && stored.operation.worker_id == fence.worker.value;
}

bool holds_fence(const StoredOperation& stored, const Fence& fence) {
  return stored.operation.status == api::OperationStatus::kRunning && was_owner(stored, fence);
}

bool has_failed_there_before(const StoredOperation& stored, const RestartRule& rule) {
  return rule.failed_at && rule.failed_at == stored.restart.failed_at;
}

bool may_restart(const StoredOperation& stored, const RestartRule& rule) {
  return !stored.operation.cancel_requested && stored.operation.restarts.value_or(0) < rule.at_most &&
         !has_failed_there_before(stored, rule);
}

bool was_restarted_by(const StoredOperation& stored, const Fence& fence, Ending cause) {
  const api::Operation& row = stored.operation;
  return row.status == api::OperationStatus::kRunning && !row.worker_id && row.attempt == fence.attempt + 1 &&
         stored.restart.cause == cause && stored.restart.worker == fence.worker.value;
}

std::optional<BatchPosition> last_known_batch(const StoredOperation& stored) {
  const api::ProgressContext& told = stored.operation.progress.context;
  const BatchPosition at{told.epoch, told.batch};
  BatchPosition from{-1, 0};
  if (stored.checkpoint) from = {stored.checkpoint->info.start_epoch, stored.checkpoint->info.start_batch};
  // One that was lost before it got anywhere says nothing about a batch, and in other phases the place stands
  // still for long.
  if (stored.operation.phase != api::Phase::kTraining || at <= from) return std::nullopt;
  return at;
}

std::string join(const std::vector<CheckpointRef>& refs) {
  std::string text;
  for (const CheckpointRef& ref : refs) text += (text.empty() ? "" : ",") + ref.to_string();
  return text;
}

std::vector<CheckpointRef> split_refs(std::string_view text) {
  std::vector<CheckpointRef> refs;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    if (const auto ref = CheckpointRef::parse(text.substr(0, comma))) refs.push_back(*ref);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return refs;
}

api::Progress storable(api::Progress progress) {
  progress.percentage = std::clamp(finite_or_zero(progress.percentage), 0.0, 100.0);
  api::ProgressContext& c = progress.context;
  for (auto* value : {&c.train_loss, &c.train_accuracy, &c.val_loss, &c.val_accuracy, &c.best_val_loss,
                      &c.learning_rate, &c.samples_per_second, &c.eta_seconds}) {
    drop_if_not_finite(*value);
  }
  return progress;
}

api::EpochMetrics storable(api::EpochMetrics metrics) {
  metrics.learning_rate = finite_or_zero(metrics.learning_rate);
  for (auto* value :
       {&metrics.train_loss, &metrics.train_accuracy, &metrics.val_loss, &metrics.val_accuracy}) {
    drop_if_not_finite(*value);
  }
  return metrics;
}

std::string message_of_stop(const api::StoppedRequest& request) {
  return request.reason == api::StopReason::kShutdown
             ? "The worker was shut down; resume the operation to go on from its checkpoint."
             : "The worker stopped on request.";
}

std::string message_of_hand_over(const StoredOperation& stored) {
  const std::string name = stored.operation.worker_name.value_or("");
  return "Worker " + (name.empty() ? stored.operation.worker_id.value_or("") : name) +
         " was shut down and handed the operation back.";
}

std::string message_of_failure(const StoredOperation& stored, const std::string& message,
                               const RestartRule& rule) {
  if (rule.at_most == 0 || stored.operation.cancel_requested) return message;
  if (has_failed_there_before(stored, rule)) {
    return message + " Epoch " + std::to_string(rule.failed_at->epoch) + ", batch " +
           std::to_string(rule.failed_at->batch) +
           " failed twice in a row, so it was not restarted again: it would fail there once more.";
  }
  return message + " It was not restarted again: it had been " +
         std::to_string(stored.operation.restarts.value_or(0)) + " times, and " +
         std::to_string(rule.at_most) + " are allowed (--max-restarts).";
}

std::string warning_of_orphan(const StoredOperation& stored) {
  const std::string name = stored.operation.worker_name.value_or("");
  const std::string lost = "The worker " + (name.empty() ? stored.operation.worker_id.value_or("") : name) +
                           " was lost before it acted on the cancel request; ";
  if (!stored.checkpoint) return lost + "there is no checkpoint to resume from.";
  return lost + "the checkpoint to resume from is " + stored.checkpoint->info.ref.to_string() + ".";
}

std::string warning_of_rewind(const api::RewindRequest& request) {
  return "Checkpoint " + request.bad.to_string() + " was given up for " + request.previous.to_string() +
         (request.reason.empty() ? "." : ": " + request.reason);
}

std::string reason_or_default(const std::string& cancel_reason) {
  return cancel_reason.empty() ? "Cancelled on request." : cancel_reason;
}

}  // namespace ktrdr::storage
