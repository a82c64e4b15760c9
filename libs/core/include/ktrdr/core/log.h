// Logging to stderr through spdlog: one line per event, as text with key=value pairs at its end or as one
// JSON object. Never log a secret.
//
// A line that is about an attempt says which: operation, attempt and worker, in this order and before all
// other fields. Whoever works on an attempt opens a LogScope; every line of that thread then has the three,
// whoever writes it. Fields of these names, given to log() itself, come before the scope's.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "ktrdr/core/ids.h"

namespace ktrdr {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

enum class LogFormat { kText, kJson };

std::optional<LogFormat> log_format_named(std::string_view word);  // "text", "json"
std::string_view to_string(LogFormat format);

struct LogField {
  std::string_view key;  // a word; not time, level, program or message
  std::string value;
};

// Call once, at the start of main; `program` stands on every line.
void start_logging(std::string_view program, LogLevel least, LogFormat format = LogFormat::kText);

// Safe from any thread. Control characters are escaped and values with spaces quoted, so that a value
// can't forge a line, a field, or drive a terminal. In JSON every value is a string but the attempt, which is
// a number; a byte that is not UTF-8 becomes U+FFFD.
void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

// What a line is about. What is empty is not known, or there is none (nobody has claimed the attempt): "-" in
// text, null in JSON.
struct LogSubject {
  std::string operation;
  std::optional<Attempt> attempt = {};
  std::string worker = {};
  bool operator==(const LogSubject&) const = default;
};

// The lines of this thread are about that, until the scope ends; then about what they were about before.
// Scopes end in the reverse order of their beginning. A thread that works for another one takes its subject
// along:
//
//   std::jthread([subject = log_subject()] { const LogScope scope(subject); ... });
class LogScope {
 public:
  explicit LogScope(LogSubject subject);
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

 private:
  LogSubject before_;
};

const LogSubject& log_subject();  // of this thread

}  // namespace ktrdr
