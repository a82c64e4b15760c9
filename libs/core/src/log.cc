#include "ktrdr/core/log.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace ktrdr {
namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

// Control characters could forge a line or drive a terminal; a quoted value can't be taken for another field.
void append_escaped(std::string& line, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) line += c;
    else line += fmt::format("\\x{:02x}", byte);
  }
}

void append_value(std::string& line, std::string_view value) {
  const bool plain = !value.empty() && value.find_first_of(" =\"") == std::string_view::npos;
  if (!plain) line += '"';
  for (const char c : value) {
    if (c == '"') line += '\\';
    append_escaped(line, {&c, 1});
  }
  if (!plain) line += '"';
}

spdlog::logger& logger() {
  // Until start_logging() is called, and in tests: stderr, because stdout belongs to the data.
  static const bool redirected = [] {
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::stderr_sink_mt>()));
    return true;
  }();
  static_cast<void>(redirected);
  return *spdlog::default_logger_raw();
}

}  // namespace

void start_logging(std::string_view program, LogLevel least) {
  static_cast<void>(logger());
  auto named = std::make_shared<spdlog::logger>(std::string(program),
                                                std::make_shared<spdlog::sinks::stderr_sink_mt>());
  named->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %n %v", spdlog::pattern_time_type::utc);
  named->set_level(level_of(least));
  named->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(named));
}

void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  spdlog::logger& target = logger();
  if (!target.should_log(level_of(level))) return;
  std::string line;
  append_escaped(line, message);
  for (const LogField& field : fields) {
    line.append(" ").append(field.key).append("=");
    append_value(line, field.value);
  }
  target.log(level_of(level), line);
}

}  // namespace ktrdr
