#include "wording.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ktrdr/core/clock.h"

namespace ktrdr::cli {

std::string printable(std::string_view text) {
  std::string clean;
  for (const char c : text) {
    const bool is_control = static_cast<unsigned char>(c) < ' ' || c == 0x7F;
    clean += c == '\n' || c == '\t' ? ' ' : is_control ? '?' : c;
  }
  return clean;
}

std::string loss_text(const std::optional<double>& loss) { return loss ? fmt::format("{:.4f}", *loss) : "-"; }

std::string percent_text(double percent) { return fmt::format("{:.1f} %", percent); }

std::string count_text(double count) {
  if (count >= 1e6) return fmt::format("{:.1f}M", count / 1e6);
  if (count >= 1e3) return fmt::format("{:.1f}k", count / 1e3);
  return fmt::format("{:.0f}", count);
}

std::string bytes_text(std::int64_t bytes) {
  constexpr double kKibi = 1024;
  const auto size = static_cast<double>(bytes);
  if (size >= kKibi * kKibi) return fmt::format("{:.1f} MiB", size / (kKibi * kKibi));
  if (size >= kKibi) return fmt::format("{:.1f} KiB", size / kKibi);
  return fmt::format("{} B", bytes);
}

std::string duration_text(double seconds) {
  constexpr std::int64_t kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;
  if (!(seconds >= 0 && seconds < 1e12)) return "-";
  const auto whole = static_cast<std::int64_t>(seconds);
  if (whole < kMinute) return fmt::format("{} s", whole);
  if (whole < kHour) return fmt::format("{}m {:02}s", whole / kMinute, whole % kMinute);
  if (whole < kDay) return fmt::format("{}h {:02}m", whole / kHour, whole % kHour / kMinute);
  return fmt::format("{}d {:02}h", whole / kDay, whole % kDay / kHour);
}

std::string age_text(const std::string& created_at, std::int64_t now_wall_ms) {
  const auto created = parse_iso8601_ms(created_at);
  if (!created.ok()) return "at an unknown time";
  const std::int64_t age_ms = std::max<std::int64_t>(0, now_wall_ms - *created);  // two clocks may differ
  return duration_text(static_cast<double>(age_ms) / 1000) + " ago";
}

std::string status_text(api::OperationStatus status, api::Phase phase) {
  const std::string text(to_string(status));
  const bool says_more = phase != api::Phase::kNone && !api::is_finished(status);
  return says_more ? text + " (" + std::string(to_string(phase)) + ")" : text;
}

std::string epoch_text(const api::ProgressContext& context) {
  const std::int64_t shown = std::min(context.epoch + 1, context.total_epochs);
  return fmt::format("{}/{}", shown, context.total_epochs);
}

std::string position_text(const api::CheckpointInfo& checkpoint) {
  if (checkpoint.start_batch > 0)
    return fmt::format("epoch {}, batch {}", checkpoint.start_epoch + 1, checkpoint.start_batch);
  return checkpoint.start_epoch == 0 ? "before epoch 1" : fmt::format("epoch {}", checkpoint.start_epoch);
}

std::string rows_text(const std::vector<Row>& rows) {
  std::size_t width = 0;
  for (const auto& [name, value] : rows) width = std::max(width, value.empty() ? 0 : name.size());
  std::string text;
  for (const auto& [name, value] : rows) {
    if (!value.empty()) text += fmt::format("{:<{}}  {}\n", name, width, printable(value));
  }
  return text;
}

std::string table_text(const std::vector<std::vector<std::string>>& lines) {
  std::vector<std::size_t> widths;
  for (const auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string text;
  for (const auto& line : lines) {
    std::string row;
    for (std::size_t i = 0; i < line.size(); ++i)
      row += fmt::format("{:<{}}  ", printable(line[i]), widths[i]);
    row.erase(row.find_last_not_of(' ') + 1);
    text += row + "\n";
  }
  return text;
}

}  // namespace ktrdr::cli
