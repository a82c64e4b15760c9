// Numbers, times and places in a training, as people read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ktrdr/api/operation.h"

namespace ktrdr::cli {

// Text from elsewhere without what could steer a terminal: control characters become '?', line ends a space.
std::string printable(std::string_view text);

std::string loss_text(const std::optional<double>& loss);  // "0.6931", or "-"
std::string percent_text(double percent);                  // " 42.0 %"
std::string count_text(double count);                      // "950", "12.3k", "4.5M"
std::string bytes_text(std::int64_t bytes);                // "1.5 MiB"
std::string duration_text(double seconds);                 // "8 s", "1m 05s", "2h 03m", "3d 04h"
std::string age_text(const std::string& created_at, std::int64_t now_wall_ms);  // "8 s ago"

std::string status_text(api::OperationStatus status, api::Phase phase);  // "running (training)"
std::string epoch_text(const api::ProgressContext& context);       // "5/10": the one in progress, from 1
std::string position_text(const api::CheckpointInfo& checkpoint);  // "epoch 12", "epoch 13, batch 40"

// An aligned list of names and values, one a line; empty values are left out.
using Row = std::pair<std::string, std::string>;
std::string rows_text(const std::vector<Row>& rows);

// An aligned table; the first line is the heading.
std::string table_text(const std::vector<std::vector<std::string>>& lines);

}  // namespace ktrdr::cli
