#include "operation_text.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

#include "wording.h"

namespace ktrdr::cli {
namespace {

std::string progress_text(const api::Progress& progress) {
  const std::string percent = percent_text(progress.percentage);
  return progress.context.total_epochs > 0 ? percent + ", epoch " + epoch_text(progress.context) : percent;
}

std::string losses_text(const api::ProgressContext& context) {
  if (!context.train_loss && !context.val_loss) return "";
  return fmt::format("train {}, validation {}, best {}", loss_text(context.train_loss),
                     loss_text(context.val_loss), loss_text(context.best_val_loss));
}

std::string worker_text(const api::Operation& operation) {
  const std::string id = operation.worker_id.value_or("");
  const std::string name = operation.worker_name.value_or("");
  return name.empty() || name == id ? id : name + " (" + id + ")";
}

std::string risk_text(const api::Operation& operation) {
  if (!operation.seconds_at_risk) return "";
  if (*operation.seconds_at_risk <= 0) return "; a crash now would cost nothing";
  return "; a crash now would cost at most " + duration_text(std::ceil(*operation.seconds_at_risk)) +
         " of training";
}

// What would be done again: the batches since the checkpoint.
std::string repeat_text(const api::Operation& operation, const api::CheckpointInfo& checkpoint) {
  const std::int64_t batches = operation.progress.context.global_step - checkpoint.global_step;
  return batches <= 0 ? "resume would repeat nothing"
                      : fmt::format("resume would repeat at most {} batches", batches);
}

// Of a running operation: what the server's clock says, which may differ from ours.
std::string last_checkpoint_text(const api::Operation& operation) {
  if (!operation.checkpoint || !operation.seconds_since_checkpoint) return "";
  return duration_text(*operation.seconds_since_checkpoint) + " ago (" +
         position_text(*operation.checkpoint) + ")" + risk_text(operation);
}

std::string checkpoint_text(const api::Operation& operation, std::int64_t now_wall_ms) {
  if (!operation.checkpoint || operation.seconds_since_checkpoint) return "";
  return position_text(*operation.checkpoint) + ", " +
         age_text(operation.checkpoint->created_at, now_wall_ms) + ", " +
         repeat_text(operation, *operation.checkpoint);
}

std::string failed_saves_text(const api::Operation& operation) {
  if (!operation.checkpoint_counts || operation.checkpoint_counts->failed == 0) return "";
  return fmt::format("{} saved, {} failed", operation.checkpoint_counts->saved,
                     operation.checkpoint_counts->failed);
}

std::string accuracy_text(const api::JsonText& result) {
  const auto report = api::from_json<api::JsonText>(member_of(result, "test_metrics"));
  const std::string accuracy = report.ok() ? member_of(*report, "test_accuracy") : "";
  return accuracy.empty() || accuracy == "null"
             ? ""
             : fmt::format("{:.4f}", std::strtod(accuracy.c_str(), nullptr));
}

void add_result(std::vector<Row>& rows, const api::JsonText& result) {
  rows.emplace_back("model", member_of(result, "model_path"));
  rows.emplace_back("sha256", member_of(result, "model_sha256"));
  rows.emplace_back("test accuracy", accuracy_text(result));
}

// "2 times, last because Worker desk fell silent ...".
std::string restarts_text(const api::Operation& operation) {
  if (!operation.restart_reason) return "";
  const std::int64_t times = operation.restarts.value_or(0);
  if (times == 0) return *operation.restart_reason;
  return std::to_string(times) + (times == 1 ? " time" : " times") +
         ", last because: " + *operation.restart_reason;
}

}  // namespace

std::string operation_text(const api::Operation& operation, std::int64_t now_wall_ms) {
  std::vector<Row> rows = {{"operation", operation.operation_id},
                           {"type", operation.operation_type},
                           {"status", status_text(operation.status, operation.phase)},
                           {"progress", progress_text(operation.progress)},
                           {"losses", losses_text(operation.progress.context)},
                           {"attempt", std::to_string(operation.attempt)},
                           {"restarted", restarts_text(operation)},
                           {"worker", worker_text(operation)},
                           {"checkpoint", checkpoint_text(operation, now_wall_ms)},
                           {"last checkpoint", last_checkpoint_text(operation)},
                           {"saves", failed_saves_text(operation)},
                           {"error", operation.error_message.value_or("")}};
  for (const std::string& warning : operation.warnings) rows.emplace_back("warning", warning);
  const bool has_result = operation.status == api::OperationStatus::kCompleted && operation.result_summary;
  if (has_result) add_result(rows, *operation.result_summary);
  return rows_text(rows);
}

std::string resume_hint(const api::Operation& operation) {
  if (!api::is_resumable(operation.status)) return "";
  if (operation.checkpoint) return "resume with: ktrdr resume " + operation.operation_id;
  return "It has no checkpoint to resume from; start it again with: ktrdr retry " + operation.operation_id;
}

}  // namespace ktrdr::cli
