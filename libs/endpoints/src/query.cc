#include "ktrdr/endpoints/query.h"

#include <algorithm>
#include <charconv>

namespace ktrdr::endpoints {
namespace {

Error wrong(const api::ParameterDescription& parameter, const std::string& expected) {
  return {ErrorCode::kInvalidArgument, "The query's '" + parameter.name + "' must be " + expected + "."};
}

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

Result<std::int64_t> read_whole_number(const api::ParameterDescription& parameter, std::string_view text) {
  const std::int64_t least = parameter.type.minimum.value_or(INT64_MIN);
  const std::int64_t most = parameter.type.maximum.value_or(INT64_MAX);
  std::int64_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc{} || end != text.data() + text.size() || number < least || number > most) {
    return wrong(parameter, "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return number;
}

Result<bool> read_flag(const api::ParameterDescription& parameter, std::string_view text) {
  if (text != "true" && text != "false") return wrong(parameter, "true or false");
  return text == "true";
}

Result<std::string> read_text(const api::ParameterDescription& parameter, std::string_view text) {
  const auto& words = parameter.type.words;
  if (!words.empty() && std::find(words.begin(), words.end(), text) == words.end()) {
    return wrong(parameter, "one of " + listed(words));
  }
  return std::string(text);
}

}  // namespace ktrdr::endpoints
