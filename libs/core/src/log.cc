#include "ktrdr/core/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>
#include <utility>

#include "log_line.h"

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

// %v is what log() makes: in JSON the members of the object.
const char* pattern_of(LogFormat format) {
  return format == LogFormat::kJson ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","program":"%n",%v})"
                                    : "%Y-%m-%dT%H:%M:%S.%eZ %l %n %v";
}

std::atomic<LogFormat> chosen_format = LogFormat::kText;

LogSubject& subject_of_this_thread() {
  thread_local LogSubject subject;
  return subject;
}

}  // namespace

std::optional<LogFormat> log_format_named(std::string_view word) {
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    if (word == to_string(format)) return format;
  }
  return std::nullopt;
}

std::string_view to_string(LogFormat format) { return format == LogFormat::kJson ? "json" : "text"; }

void start_logging(std::string_view program, LogLevel least, LogFormat format) {
  static_cast<void>(logger());
  auto named = std::make_shared<spdlog::logger>(std::string(program),
                                                std::make_shared<spdlog::sinks::stderr_sink_mt>());
  named->set_pattern(pattern_of(format), spdlog::pattern_time_type::utc);
  named->set_level(level_of(least));
  named->flush_on(spdlog::level::info);
  chosen_format = format;
  spdlog::set_default_logger(std::move(named));
}

void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  spdlog::logger& target = logger();
  if (!target.should_log(level_of(level))) return;
  const std::span<const LogField> all(fields.begin(), fields.size());
  const LogSubject subject = subject_of(log_subject(), all);
  const auto write = chosen_format == LogFormat::kJson ? json_members_of : text_of;
  target.log(level_of(level), write(message, subject, all));
}

LogScope::LogScope(LogSubject subject)
    : before_(std::exchange(subject_of_this_thread(), std::move(subject))) {}

LogScope::~LogScope() { subject_of_this_thread() = std::move(before_); }

const LogSubject& log_subject() { return subject_of_this_thread(); }

}  // namespace ktrdr
