#include "progress_display.h"

#include <algorithm>
#include <cmath>

#include "wording.h"

namespace ktrdr::cli {
namespace {

constexpr const char* kClearLine = "\r\x1b[K";

std::string bar(double percent) {
  constexpr std::size_t kCells = 20;
  const double share = std::isfinite(percent) ? std::clamp(percent / 100, 0.0, 1.0) : 0;
  const auto full = static_cast<std::size_t>(share * kCells);
  return "[" + std::string(full, '#') + std::string(kCells - full, '-') + "]";
}

void add(std::string& line, const std::string& name, const std::string& value) {
  if (!value.empty() && value != "-") line += "  " + name + (name.empty() ? "" : " ") + value;
}

bool is_queued(const api::Operation& operation) {
  return operation.phase == api::Phase::kQueued || operation.status == api::OperationStatus::kPending;
}

// A new line is due when this changes.
std::string line_key(const api::Operation& operation, const std::string& queue_reason) {
  if (is_queued(operation)) return "queued " + queue_reason;
  return std::to_string(operation.attempt) + " " + std::to_string(operation.progress.context.epoch);
}

}  // namespace

std::string progress_line(const api::Operation& operation, const std::string& queue_reason) {
  if (is_queued(operation)) return queue_reason.empty() ? "queued" : "queued: " + queue_reason;
  const api::ProgressContext& context = operation.progress.context;
  std::string line = percent_text(operation.progress.percentage);
  if (context.total_epochs > 0) add(line, "epoch", epoch_text(context));
  add(line, "train", loss_text(context.train_loss));
  add(line, "val", loss_text(context.val_loss));
  add(line, "best", loss_text(context.best_val_loss));
  if (context.samples_per_second) add(line, "", count_text(*context.samples_per_second) + " samples/s");
  if (context.eta_seconds) add(line, "ETA", duration_text(*context.eta_seconds));
  if (operation.phase != api::Phase::kNone) add(line, "", std::string(to_string(operation.phase)));
  if (operation.seconds_since_checkpoint)
    add(line, "checkpoint", duration_text(*operation.seconds_since_checkpoint) + " ago");
  return line;
}

void ProgressDisplay::show(const api::Operation& operation, const std::string& queue_reason) {
  const std::string line = printable(progress_line(operation, queue_reason));
  if (screen_.is_terminal) {
    const std::string drawn = is_queued(operation) ? line : bar(operation.progress.percentage) + " " + line;
    shown_ = drawn.substr(0, screen_.width - 1);  // a line that wraps can't be drawn over
    screen_.err << kClearLine << shown_ << std::flush;
    return;
  }
  const std::string key = line_key(operation, queue_reason);
  if (key == shown_) return;
  shown_ = key;
  screen_.err << line << '\n' << std::flush;
}

void ProgressDisplay::clear_line() {
  if (screen_.is_terminal && !shown_.empty()) screen_.err << kClearLine;
}

void ProgressDisplay::note(const std::string& words) {
  clear_line();
  screen_.err << printable(words) << '\n' << (screen_.is_terminal ? shown_ : "") << std::flush;
}

void ProgressDisplay::finish() {
  if (screen_.is_terminal && !shown_.empty()) screen_.err << '\n' << std::flush;
  shown_.clear();
}

}  // namespace ktrdr::cli
