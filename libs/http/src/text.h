// Bytes from outside as text: comparisons without regard to case, percent-decoding, UTF-8. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ktrdr::http {

bool equal_ignoring_case(std::string_view a, std::string_view b);  // ASCII only, whatever the locale

std::string_view without_blanks(std::string_view text);  // leading and trailing spaces and tabs cut off

bool is_digits(std::string_view text);  // at least one, nothing else

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_valid_utf8(std::string_view text);

bool has_control_characters(std::string_view text);  // below U+0020, or DEL

// Decodes %XX once; none where an escape is cut off or not hexadecimal. "%2561" becomes "%61" and stays so.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace ktrdr::http
