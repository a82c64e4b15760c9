#include "text.h"

#include <algorithm>
#include <cstddef>

namespace ktrdr::http {
namespace {

char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

std::optional<unsigned> hexadecimal(char digit) {
  const char letter = lower(digit);
  if (letter >= '0' && letter <= '9') return static_cast<unsigned>(letter - '0');
  if (letter >= 'a' && letter <= 'f') return static_cast<unsigned>(letter - 'a') + 10;
  return std::nullopt;
}

// Which second byte may follow a first byte, and how many bytes a character has: table 3-7 of the Unicode
// Standard.
struct Utf8Row {
  unsigned char first_least, first_most, second_least, second_most;
  std::size_t length;
};
constexpr Utf8Row kUtf8Rows[] = {
    {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
    {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
    {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

unsigned char byte_at(std::string_view text, std::size_t place) {
  return static_cast<unsigned char>(text[place]);
}

// The length of the multi-byte character that `text` starts with; 0 when it starts with none.
std::size_t character_length(std::string_view text) {
  for (const Utf8Row& row : kUtf8Rows) {
    if (byte_at(text, 0) < row.first_least || byte_at(text, 0) > row.first_most) continue;
    if (text.size() < row.length) return 0;
    if (byte_at(text, 1) < row.second_least || byte_at(text, 1) > row.second_most) return 0;
    const auto is_continuation = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; };
    const std::string_view rest = text.substr(2, row.length - 2);
    return std::all_of(rest.begin(), rest.end(), is_continuation) ? row.length : 0;
  }
  return 0;
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char left, char right) { return lower(left) == lower(right); });
}

std::string_view without_blanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_valid_utf8(std::string_view text) {
  std::size_t place = 0;
  while (place < text.size()) {
    const std::size_t length = byte_at(text, place) < 0x80 ? 1 : character_length(text.substr(place));
    if (length == 0) return false;
    place += length;
  }
  return true;
}

bool has_control_characters(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t place = 0; place < text.size(); ++place) {
    if (text[place] != '%') {
      decoded += text[place];
      continue;
    }
    if (place + 2 >= text.size()) return std::nullopt;
    const auto high = hexadecimal(text[place + 1]);
    const auto low = hexadecimal(text[place + 2]);
    if (!high || !low) return std::nullopt;
    decoded += static_cast<char>(*high * 16 + *low);
    place += 2;
  }
  return decoded;
}

}  // namespace ktrdr::http
