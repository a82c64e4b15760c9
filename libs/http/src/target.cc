#include "target.h"

#include <algorithm>
#include <optional>

#include "text.h"

namespace ktrdr::http {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool is_safe_text(std::string_view text) { return is_valid_utf8(text) && !has_control_characters(text); }

std::optional<std::string> decoded_segment(std::string_view encoded) {
  std::optional<std::string> segment = percent_decoded(encoded);
  if (!segment || !is_safe_text(*segment)) return std::nullopt;
  if (*segment == "." || *segment == ".." || segment->find_first_of("/\\") != std::string::npos)
    return std::nullopt;
  return segment;
}

std::optional<std::vector<std::string>> decoded_path(std::string_view path) {
  if (!path.starts_with('/') || path.find('#') != std::string_view::npos) return std::nullopt;
  std::vector<std::string> segments;
  for (const std::string_view encoded : split(path.substr(1), '/')) {
    std::optional<std::string> segment = decoded_segment(encoded);
    if (!segment) return std::nullopt;
    segments.push_back(*std::move(segment));
  }
  return segments;
}

// Queries are written as forms are: "+" is a space.
std::optional<std::string> decoded_query_part(std::string_view encoded) {
  std::string text(encoded);
  std::replace(text.begin(), text.end(), '+', ' ');
  std::optional<std::string> part = percent_decoded(text);
  if (!part || !is_safe_text(*part)) return std::nullopt;
  return part;
}

std::optional<StringMap> decoded_query(std::string_view query) {
  StringMap pairs;
  if (query.find('#') != std::string_view::npos) return std::nullopt;
  for (const std::string_view pair : split(query, '&')) {
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    std::optional<std::string> name = decoded_query_part(pair.substr(0, equals));
    std::optional<std::string> value = decoded_query_part(pair.substr(std::min(equals + 1, pair.size())));
    if (!name || !value || name->empty()) return std::nullopt;
    if (!pairs.emplace(*std::move(name), *std::move(value)).second) return std::nullopt;
  }
  return pairs;
}

}  // namespace

std::string Target::path() const {
  std::string joined;
  for (const std::string& segment : segments) joined += "/" + segment;
  return joined;
}

std::variant<Target, Refusal> parse_target(std::string_view target) {
  const std::size_t mark = std::min(target.find('?'), target.size());
  std::optional<std::vector<std::string>> segments = decoded_path(target.substr(0, mark));
  if (!segments) return kBadTarget;
  std::optional<StringMap> query = decoded_query(target.substr(std::min(mark + 1, target.size())));
  if (!query) return kBadQuery;
  return Target{*std::move(segments), *std::move(query)};
}

}  // namespace ktrdr::http
