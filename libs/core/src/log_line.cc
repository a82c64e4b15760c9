#include "log_line.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <charconv>

namespace ktrdr {
namespace {

constexpr std::string_view kOperation = "operation", kAttempt = "attempt", kWorker = "worker";
constexpr std::string_view kUnknown = "-";
constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

bool is_of_the_subject(std::string_view key) {
  return key == kOperation || key == kAttempt || key == kWorker;
}

bool is_about_something(const LogSubject& subject) {
  return !subject.operation.empty() || subject.attempt || !subject.worker.empty();
}

std::optional<Attempt> attempt_of(std::string_view text) {
  Attempt attempt = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), attempt);
  const bool is_number = status == std::errc() && end == text.data() + text.size();
  return is_number ? std::optional(attempt) : std::nullopt;
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

// ---- text ----

// Control characters could forge a line or drive a terminal; a quoted value can't be taken for another field.
void append_escaped(std::string& line, std::string_view text) {
  for (const char c : text) {
    if (is_control(c)) line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else line += c;
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

void append_field(std::string& line, std::string_view key, std::string_view value) {
  line.append(" ").append(key).append("=");
  append_value(line, value);
}

std::string_view or_unknown(const std::string& value) { return value.empty() ? kUnknown : value; }

// ---- JSON ----

// How many bytes the UTF-8 character at the front has; 0 when there is none.
std::size_t character_at(std::string_view text) {
  struct Form {
    unsigned char least, most;  // of the first byte
    std::size_t size;
    unsigned char second_least = 0x80, second_most = 0xbf;
  };
  // Table 3-7 of the Unicode standard: well-formed UTF-8.
  static constexpr std::array<Form, 9> kForms = {{{0x00, 0x7f, 1},
                                                  {0xc2, 0xdf, 2},
                                                  {0xe0, 0xe0, 3, 0xa0},
                                                  {0xe1, 0xec, 3},
                                                  {0xed, 0xed, 3, 0x80, 0x9f},
                                                  {0xee, 0xef, 3},
                                                  {0xf0, 0xf0, 4, 0x90},
                                                  {0xf1, 0xf3, 4},
                                                  {0xf4, 0xf4, 4, 0x80, 0x8f}}};
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (const Form& form : kForms) {
    if (byte(0) < form.least || byte(0) > form.most) continue;
    if (text.size() < form.size) return 0;
    if (form.size > 1 && (byte(1) < form.second_least || byte(1) > form.second_most)) return 0;
    for (std::size_t i = 2; i < form.size; ++i) {
      if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
    }
    return form.size;
  }
  return 0;
}

void append_json_text(std::string& line, std::string_view text) {
  line += '"';
  while (!text.empty()) {
    const std::size_t size = character_at(text);
    const char c = text.front();
    if (size == 0) line += kReplacement;
    else if (c == '"' || c == '\\') (line += '\\') += c;
    else if (is_control(c)) line += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    else line += text.substr(0, size);
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  line += '"';
}

void append_member(std::string& line, std::string_view key, std::string_view value) {
  line += ',';
  append_json_text(line, key);
  line += ':';
  append_json_text(line, value);
}

void append_member_or_null(std::string& line, std::string_view key, const std::string& value) {
  if (!value.empty()) return append_member(line, key, value);
  line.append(",\"").append(key).append("\":null");
}

}  // namespace

LogSubject subject_of(const LogSubject& scope, std::span<const LogField> fields) {
  LogSubject own;
  for (const LogField& field : fields) {
    if (field.key == kOperation) own.operation = field.value;
    if (field.key == kAttempt) own.attempt = attempt_of(field.value);
    if (field.key == kWorker) own.worker = field.value;
  }
  // What is known of one operation or attempt says nothing about another one.
  if (!own.operation.empty() && own.operation != scope.operation) return own;
  const bool is_another_attempt = own.attempt && own.attempt != scope.attempt;
  own.operation = scope.operation;
  if (!own.attempt) own.attempt = scope.attempt;
  if (own.worker.empty() && !is_another_attempt) own.worker = scope.worker;
  return own;
}

std::string text_of(std::string_view message, const LogSubject& subject, std::span<const LogField> fields) {
  std::string line;
  append_escaped(line, message);
  if (is_about_something(subject)) {
    append_field(line, kOperation, or_unknown(subject.operation));
    append_field(line, kAttempt, subject.attempt ? std::to_string(*subject.attempt) : kUnknown);
    append_field(line, kWorker, or_unknown(subject.worker));
  }
  for (const LogField& field : fields) {
    if (!is_of_the_subject(field.key)) append_field(line, field.key, field.value);
  }
  return line;
}

std::string json_members_of(std::string_view message, const LogSubject& subject,
                            std::span<const LogField> fields) {
  std::string line = "\"message\":";
  append_json_text(line, message);
  if (is_about_something(subject)) {
    append_member_or_null(line, kOperation, subject.operation);
    line.append(",\"attempt\":").append(subject.attempt ? std::to_string(*subject.attempt) : "null");
    append_member_or_null(line, kWorker, subject.worker);
  }
  for (const LogField& field : fields) {
    if (!is_of_the_subject(field.key)) append_member(line, field.key, field.value);
  }
  return line;
}

}  // namespace ktrdr
