// Logging to stderr through spdlog: one line per event, key=value pairs at its end. Never log a secret.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace ktrdr {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogField {
  std::string_view key;
  std::string value;
};

// Call once, at the start of main; `program` stands on every line.
void start_logging(std::string_view program, LogLevel least);

// Safe from any thread. Control characters are escaped and values with spaces quoted, so that a value
// can't forge a line, a field, or drive a terminal.
void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace ktrdr
